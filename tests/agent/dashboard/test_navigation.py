"""Words on the pages are shown letter for letter."""

import re

import pytest

from agent.dashboard.navigation import plain


@pytest.mark.parametrize(
    "text", ["a_b*c*", "[x](y)", "<b>", "1. a", "# h", "$x$", "a|b", "~~x~~", "`c`", "\\", "- a", "&amp;", ":red[x]"]
)
def test_every_sign_of_markdown_is_escaped(text):
    shown = plain(text).replace("\u2060", "")
    assert re.sub(r"\\(.)", r"\1", shown) == text
    assert re.fullmatch(r"(\w|\s|\\.)*", shown)


def test_addresses_and_emoji_are_broken():
    assert "http\\:\u2060" in plain("http://x") and "www\u2060" in plain("www.x.y") and "\\@\u2060" in plain("a@b.c")
    assert plain("a\n\n# b") == "a \\# b"
