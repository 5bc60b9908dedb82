"""What a model says, without what it thought first: drafts in a thought are no answer."""

from __future__ import annotations

import re

TAGS = r"think|thinking|thought|thoughts|reasoning|reflection|scratchpad|seed:think"
OPENS = rf"<(?:{TAGS})(?:\s[^<>]{{0,80}})?>|\[think\]|◁think▷|<\|begin_of_thought\|>|<\|start_thinking\|>"
CLOSES = rf"</(?:{TAGS})\s*>|\[/think\]|◁/think▷|<\|end_of_thought\|>|<\|end_thinking\|>"
MARKS = re.compile(rf"(?P<opens>{OPENS})|{CLOSES}", re.IGNORECASE)
# gpt-oss names the channel of each part of a message; where a server does not read it, it stays in the text
CHANNEL = re.compile(
    r"<\|channel\|>\s*(?P<name>\w+)[^<>]*<\|message\|>(?P<text>.*?)(?=<\|(?:end|start|return|channel)\|>|$)", re.DOTALL
)


def without_thoughts(text: str) -> str:
    """The text outside of all thoughts.

    A thought that is closed without having been opened began with the text: several models are made to think by an
    opening in their prompt. One that is never closed goes on to the end.
    """
    channels = list(CHANNEL.finditer(text))
    if channels:
        return "\n".join(part["text"] for part in channels if part["name"] == "final")
    said: list[str] = []
    start: int | None = 0  # of what is said; None inside a thought
    for mark in MARKS.finditer(text):
        if not mark["opens"]:
            if start is not None:
                said.clear()
            start = mark.end()
        elif start is not None:
            said.append(text[start : mark.start()])
            start = None
    if start is not None:
        said.append(text[start:])
    return "\n".join(said)
