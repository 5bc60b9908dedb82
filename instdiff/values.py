"""The frozen base of every validated value, and the kinds of field that several of them have."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from instdiff.errors import BadInput


def _printable(text: str) -> str:
    """Control characters but line ends and tabs become spaces: words come from models, and go to terminals."""
    return "".join(" " if unicodedata.category(letter) == "Cc" and letter not in "\n\t" else letter for letter in text)


Words = Annotated[str, AfterValidator(_printable)]


Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class Value(BaseModel):
    """Immutable, and refuses fields that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, data: object, field: str = "") -> Self:
        """Validate data from outside; the first problem becomes a one-line `BadInput`."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in (field, *first["loc"]) if part != "") or cls.__name__.lower()
            raise BadInput(where, first["msg"].removeprefix("Value error, ")) from error
