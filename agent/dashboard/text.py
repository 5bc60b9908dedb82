"""Words from people and models, shown as they are."""

from __future__ import annotations

import re

JOINER = "\u2060"  # takes no room, and breaks what would become a link or an emoji after all escapes are read


def plain(text: str) -> str:
    """Text that Streamlit's labels and captions, which read Markdown, show letter for letter, on one line."""
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(\\[:@]|www)", rf"\1{JOINER}", escaped)


def shortened(text: str, length: int) -> str:
    """At most so many letters, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
