"""The frozen base of every validated value, and the kinds of field that several of them have."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from instdiff.errors import BadInput


def _printable(text: str) -> str:
    """Control characters but line ends and tabs become spaces: words come from models, and go to terminals."""
    return "".join(" " if unicodedata.category(letter) == "Cc" and letter not in "\n\t" else letter for letter in text)


Words = Annotated[str, AfterValidator(_printable)]


Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class Value(BaseModel):
    """Immutable, and refuses fields that it does not know; a value that cannot be is a one-line `BadInput`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    if not TYPE_CHECKING:  # checkers see the fields of each class as its arguments

        def __init__(self, /, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                refusal = _refusal(error, type(self))
            else:
                return
            raise refusal  # here, and not above, where pydantic's page would be shown with it

        __init__.__pydantic_base_init__ = True  # values inside of values are made by pydantic itself, not by this

    @classmethod
    def parse(cls, data: object, field: str = "") -> Self:
        """Validate data from outside; the first problem becomes a one-line `BadInput`."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            refusal = _refusal(error, cls, field)
        raise refusal

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values in some fields, validated like any other.

        Raises:
            BadInput: the copy cannot be, or a field of this name does not exist.
        """
        copy = super().model_copy(deep=deep)
        if not update:
            return copy
        # not `dict(copy)`, which holds the properties that are kept of the old values too
        changed = self.parse({**{name: getattr(copy, name) for name in type(self).model_fields}, **update})
        changed.__pydantic_fields_set__.intersection_update(self.model_fields_set | update.keys())
        return changed


def _refusal(error: ValidationError, model: type[BaseModel], field: str = "") -> BadInput:
    """The first problem of a validation: where, and what."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in (field, *first["loc"]) if part != "") or model.__name__.lower()
    return BadInput(where, first["msg"].removeprefix("Value error, "))
