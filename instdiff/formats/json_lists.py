"""Large JSON files whose lists of records are met one by one, in one pass, and read again from where they stand."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from instdiff.errors import BadInput

_decode = json.JSONDecoder(parse_constant=float).raw_decode
_SPACE = re.compile(r"[ \t\n\r]*")


class JsonLists:
    """A JSON object of which some values are long lists.

    The text stays as it is, and a list is where its elements begin in it: 8 bytes for each, where the elements
    themselves, as Python objects, take about eight times the room of their text. Not ijson: it reads a file from its
    beginning to its end and does not say where an element stands, so that all of them must be kept, or the file read
    again, for one that is asked for later; and it stops at the NaN that other people's writers put where they know no
    number.

    NaN and infinity are read as such: they spoil one number, not the file.
    """

    def __init__(self, text: str, source: str):
        self._text = text
        self._source = source

    def members(self, lists: Sequence[str]) -> Iterator[tuple[str, object]]:
        """The members of the object, in the order of the file; those called as in ``lists``, if they are one, as
        `JsonList`, which has to be read to its end before the next member is asked for.

        Raises:
            BadInput: the text is no JSON object.
        """
        place = self.skip(0)
        if not self.is_at("{", place):
            self.value(place)
            raise BadInput(self._source, "must be an object, not a list or a single value")
        place = self.skip(place + 1)
        while not self.is_at("}", place):
            name, place = self.value(place)
            if not isinstance(name, str):
                raise self._broken(place, "Expecting property name enclosed in double quotes")
            place = self.skip(self._expect(":", self.skip(place)))
            if name in lists and self.is_at("[", place):
                records = JsonList(self, place)
                yield name, records
                place = records.end
            else:
                value, place = self.value(place)
                yield name, value
            place = self.after(place, "}")
        place = self.skip(place + 1)
        if place != len(self._text):
            raise self._broken(place, "Extra data")

    def value(self, place: int) -> tuple[object, int]:
        """The JSON value that begins there, and where it ends."""
        try:
            return _decode(self._text, place)
        except json.JSONDecodeError as error:
            raise self._broken(error.pos, error.msg) from error
        except RecursionError as error:
            raise BadInput(self._source, "is nested too deeply") from error
        except ValueError as error:  # an integer with thousands of digits
            raise BadInput(self._source, "holds a number that is too long") from error

    def is_at(self, letter: str, place: int) -> bool:
        """Whether this letter stands there."""
        return self._text[place : place + 1] == letter

    def skip(self, place: int) -> int:
        """Where the next letter is that is no space."""
        space = _SPACE.match(self._text, place)
        return space.end() if space else place

    def after(self, place: int, end: str) -> int:
        """Where the next element begins after one that ended there, or the letter that ends them all stands."""
        place = self.skip(place)
        if self.is_at(end, place):
            return place
        place = self.skip(self._expect(",", place))
        if self.is_at(end, place):
            raise self._broken(place, "Illegal trailing comma before end of list or object")
        return place

    def _expect(self, letter: str, place: int) -> int:
        """The place after this letter, which must stand there."""
        if not self.is_at(letter, place):
            raise self._broken(place, f"Expecting '{letter}' delimiter")
        return place + 1

    def _broken(self, place: int, problem: str) -> BadInput:
        """The error that names a place by line and column."""
        line = self._text.count("\n", 0, place) + 1
        column = place - self._text.rfind("\n", 0, place)
        return BadInput(self._source, f"is not JSON: line {line}, column {column}: {problem}")


class JsonList(Sequence[object]):
    """The elements of one list: met in order first, then read again by their number."""

    def __init__(self, lists: JsonLists, place: int):
        self._lists = lists
        self._places = array("q")
        self._start = place
        self.end = place

    def first_pass(self) -> Iterator[object]:
        """Each element, which is not kept."""
        lists = self._lists
        place = lists.skip(self._start + 1)
        while not lists.is_at("]", place):
            value, end = lists.value(place)
            self._places.append(place)
            yield value
            place = lists.after(end, "]")
        self.end = place + 1

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> list[object]: ...
    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return self._lists.value(self._places[index])[0]
