"""Single values from outside, checked for type and range."""

from __future__ import annotations

import math
import re

from instdiff.errors import BadInput


def mapping(value: object, field: str) -> dict:
    """A JSON object."""
    if not isinstance(value, dict):
        raise BadInput(field, f"must be an object, not {_kind(value)}")
    return value


def sequence(value: object, field: str) -> list:
    """A JSON array."""
    if not isinstance(value, list | tuple):
        raise BadInput(field, f"must be a list, not {_kind(value)}")
    return list(value)


def text(data: dict, key: str, field: str = "") -> str:
    """The string under a key; missing and null are the empty string."""
    value = data.get(key)
    where = f"{field}.{key}" if field else key
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(where, f"must be text, not {_kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadInput(where, "holds half of a surrogate pair") from error
    return value


def number(value: object, field: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(field, f"must be a number, not {_kind(value)}")
    try:
        result = float(value)
    except OverflowError as error:
        raise BadInput(field, "is too large") from error
    if not math.isfinite(result):
        raise BadInput(field, f"{result} is no finite number")
    return result


def whole(value: object, field: str) -> int:
    """A whole number; 512.0 counts as one."""
    result = number(value, field)
    if result != int(result):
        raise BadInput(field, f"{result:g} is no whole number")
    return int(result)


def numbers(value: object, field: str, count: int) -> tuple[float, ...]:
    """A list of ``count`` finite numbers."""
    values = sequence(value, field)
    if len(values) != count:
        raise BadInput(field, f"must hold {count} numbers, not {len(values)}")
    return tuple(number(item, f"{field}[{index}]") for index, item in enumerate(values))


def pair(value: object, field: str) -> tuple[float, float]:
    """A list of two finite numbers."""
    x, y = numbers(value, field, count=2)
    return x, y


def numbers_in(value: object) -> list[float]:
    """The finite numbers of a list, or of a text in which they are separated by commas, semicolons or spaces.

    Raises:
        ValueError: something in it is none.
    """
    if isinstance(value, str):
        value = re.split(r"[\s,;]+", value.strip()) if value.strip() else []
    if not isinstance(value, list | tuple):
        raise ValueError("no list")
    try:
        found = [float(one) for one in value if not isinstance(one, bool)]
    except (TypeError, OverflowError) as error:
        raise ValueError("no number") from error
    if len(found) < len(value) or not all(map(math.isfinite, found)):
        raise ValueError("no number")
    return found


def _kind(value: object) -> str:
    names = {bool: "true or false", type(None): "null", dict: "an object", list: "a list", str: "text"}
    names |= {int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
