"""Objects in a model's text: JSON, or what is meant to be. The text is data, and nothing in it is ever run.

Read are, besides JSON: Python's literals and quotes, names without quotes as keys, comments, commas that are missing or
too many, and numbers with a unit ("0.1 m", as text).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_DEPTH = 40
MAX_EFFORT = 1_000_000  # characters that are read in vain, from each "{" that begins no object on
LEAST_EFFORT = 2_000  # such a beginning costs, however few they are
DEEP_EFFORT = 20_000  # one costs that is nested past all sense
STRICT = json.JSONDecoder(strict=False)  # line ends inside a string are read
WORDS = {"true": True, "false": False, "null": None, "none": None, "undefined": None, "nan": float("nan")}
TOKEN = re.compile(
    r"""(?:\s|//[^\n]*|\#[^\n]*|/\*.*?\*/)*
    (?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)(?P<unit>[ ]?[A-Za-z%°][A-Za-z.]*)?
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark>[\[\]{}():,]))""",
    re.DOTALL | re.VERBOSE,
)
PAIRS = {"[": "]", "(": ")"}


class Found(NamedTuple):
    """An object, and between which places of the text it stands."""

    value: dict
    start: int
    end: int


def objects_in(text: str) -> Iterator[Found]:
    """Every object in a text that is inside no other."""
    end = 0
    effort = 0
    for match in re.finditer(r"\{", text):
        start = match.start()
        if start < end:
            continue
        try:
            value, end = STRICT.raw_decode(text, start)
        except (ValueError, RecursionError) as error:  # no JSON from here on, or nested past all sense
            reader = _Reader(text, start)
            try:
                value, end = reader.read()
            except ValueError:
                reached = max(reader.position, getattr(error, "pos", start + DEEP_EFFORT))
                effort += reached - start + LEAST_EFFORT
                if effort > MAX_EFFORT:
                    return
                continue
        yield Found(value, start, end)


class _Reader:
    """Reads one value after another; raises ValueError for what is none."""

    def __init__(self, text: str, start: int):
        self.text = text
        self.position = start
        self.depth = 0

    def read(self) -> tuple[dict, int]:
        """The object that begins here, and where it ends."""
        value = self._value(self._token())
        if not isinstance(value, dict):
            raise ValueError("no object")
        return value, self.position

    def _token(self) -> re.Match[str]:
        token = TOKEN.match(self.text, self.position)
        if token is None:
            raise ValueError("no token")
        self.position = token.end()
        return token

    def _value(self, token: re.Match[str]) -> object:
        if token["text"]:
            return _unquoted(token["text"])
        if token["number"]:
            if token["unit"]:
                return f"{token['number']}{token['unit']}"
            return float(token["number"]) if re.search(r"[.eE]", token["number"]) else int(token["number"])
        if token["word"]:
            return WORDS[token["word"].lower()] if token["word"].lower() in WORDS else _refuse("an unknown word")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError("nested past all sense")
        value = self._members() if token["mark"] == "{" else self._items(PAIRS.get(token["mark"]))
        self.depth -= 1
        return value

    def _items(self, closing: str | None) -> list:
        """The rest of a list or tuple."""
        items: list[object] = []
        while closing:
            token = self._token()
            if token["mark"] == closing:
                return items
            if token["mark"] != ",":
                items.append(self._value(token))
        return _refuse("no value")

    def _members(self) -> dict:
        """The rest of an object."""
        members: dict = {}
        while True:
            token = self._token()
            if token["mark"] == "}":
                return members
            if token["mark"] == ",":
                continue
            if not (token["text"] or token["word"]):
                raise ValueError("no key")
            key = _unquoted(token["text"]) if token["text"] else token["word"]
            if self._token()["mark"] != ":":
                raise ValueError("no colon")
            members[key] = self._value(self._token())


def _refuse(reason: str):
    raise ValueError(reason)


def _unquoted(quoted: str) -> str:
    """The text of a string in either kind of quotes."""
    body = quoted[1:-1]
    if quoted[0] == "'":
        body = re.sub(r'(?<!\\)"', r"\"", body.replace("\\'", "'"))
    try:
        return json.loads(f'"{body}"', strict=False)
    except ValueError:  # escapes that JSON does not have
        return body.replace("\\", "")
