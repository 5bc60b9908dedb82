"""What language models were asked for, and what it cost."""

from __future__ import annotations

from pydantic import Field

from instdiff.values import Value


class Usage(Value):
    """What a language model was asked for and what it cost; ``usd`` is None where its price is not known.

    ``estimated`` is true where the service did not say how many tokens it took, and an upper estimate was counted.
    Usages are added, and an earlier state of one count is subtracted from a later one.
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

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            answer_tokens=self.answer_tokens + other.answer_tokens,
            usd=None if self.usd is None or other.usd is None else self.usd + other.usd,
            estimated=self.estimated or other.estimated,
        )

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(
            requests=self.requests - earlier.requests,
            prompt_tokens=self.prompt_tokens - earlier.prompt_tokens,
            answer_tokens=self.answer_tokens - earlier.answer_tokens,
            usd=None if self.usd is None or earlier.usd is None else self.usd - earlier.usd,
            estimated=self.estimated,
        )
