"""What chat models were asked for, and what it cost."""

from __future__ import annotations

from pydantic import Field

from instdiff.values import Value


class Usage(Value):
    """What a chat model was asked for and what it cost; ``usd`` is None where its price is not known.

    ``estimated`` is true where the service did not say how many tokens it took, and an upper estimate was counted.
    """

    requests: int = Field(default=0, ge=0)
    prompt_tokens: int = Field(default=0, ge=0)
    answer_tokens: int = Field(default=0, ge=0)
    usd: float | None = Field(default=0.0, ge=0)
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Prompts and answers together."""
        return self.prompt_tokens + self.answer_tokens
