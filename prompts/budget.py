"""What language models cost, and the limits that are looked at before each request.

``prices.json`` holds US dollars for a million tokens, [prompt, answer], as OpenAI listed them for its models.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from instdiff.errors import BadInput, ServiceError
from prompts.usage import Usage

MAX_ANSWER_TOKENS = 8192
LEAST_ANSWER_TOKENS = 200  # no scene fits into less, so that such a request would be money lost
MILLION = 1_000_000
PRICES = Path(__file__).with_name("prices.json")


class BudgetExceededError(ServiceError):
    """Another request does not fit into the budget; the message says why."""


def price_of(name: str) -> tuple[float, float] | None:
    """US dollars for a million tokens (prompt, answer) of a model such as ``openai:gpt-4o``; None if it is not known.

    Models on one's own machine cost nothing; another server asks what it wants, whatever its model is called.
    """
    provider, _, model = name.partition(":")
    if provider in ("ollama", "llama"):
        return (0.0, 0.0)
    if provider != "openai":
        return None
    prices = json.loads(PRICES.read_text(encoding="utf-8"))
    price = prices.get(model) or prices.get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model))
    return (price[0], price[1]) if price else None


@dataclass(frozen=True)
class Budget:
    """How many tokens and dollars one run may spend, and what a token costs.

    Args:
        name: the model's, as in `price_of`.
        max_tokens: prompts and answers together; None for no bound.
        max_usd: US dollars; None for no bound.
        max_answer_tokens: of one answer.

    Raises:
        BadInput: a bound makes no sense, or one in dollars is asked of a model whose price is not known.
    """

    name: str
    max_tokens: int | None = None
    max_usd: float | None = None
    max_answer_tokens: int = MAX_ANSWER_TOKENS

    def __post_init__(self):
        if self.max_tokens is not None and self.max_tokens < 1:
            raise BadInput("max_tokens", f"{self.max_tokens} tokens buy nothing; give at least 1, or leave it out")
        if self.max_usd is not None and not self.max_usd >= 0:
            raise BadInput("max_usd", f"{self.max_usd} is no amount; give US dollars, 0 or more, or leave it out")
        if self.max_usd is not None and price_of(self.name) is None:
            reason = f"the price of {self.name} is not known, so dollars cannot be bounded"
            raise BadInput("max_usd", f"{reason}; give --max-tokens")

    @property
    def is_bounded(self) -> bool:
        """Whether the tokens or the dollars of a run are bounded."""
        return self.max_tokens is not None or self.max_usd is not None

    def answer_room(self, used: Usage, prompt_tokens: int) -> int:
        """How many tokens the next answer may have after a prompt of this estimated length.

        Raises:
            BudgetExceededError: there is no room for a usable one.
        """
        room = self.max_answer_tokens
        if self.max_tokens is not None:
            room = min(room, self.max_tokens - used.tokens - prompt_tokens)
            if room < LEAST_ANSWER_TOKENS:
                ceiling = f"the ceiling of {self.max_tokens} tokens leaves no room for another request"
                needs = f"the next takes about {prompt_tokens} and its answer at least {LEAST_ANSWER_TOKENS}"
                raise BudgetExceededError(f"{ceiling}: {used.tokens} are used, {needs}; raise --max-tokens")
        prompt_price, answer_price = price_of(self.name) or (0.0, 0.0)
        if self.max_usd is not None and answer_price:
            if used.usd is None:
                raise BudgetExceededError("what this run has cost is not known, so dollars cannot be bounded")
            left_usd = self.max_usd - used.usd - prompt_tokens * prompt_price / MILLION
            room = min(room, int(left_usd * MILLION / answer_price))
            if room < LEAST_ANSWER_TOKENS:
                ceiling = f"the ceiling of {self.max_usd:g} dollars leaves no room for another request"
                needs = f"the next takes about {prompt_tokens} tokens and its answer at least {LEAST_ANSWER_TOKENS}"
                raise BudgetExceededError(f"{ceiling}: {used.usd:.4f} are used, and {needs}; raise --max-usd")
        return room

    def usage_of(self, prompt_tokens: int, answer_tokens: int, estimated: bool = False) -> Usage:
        """The usage of one request with so many tokens; its dollars are None where the price is not known."""
        price = price_of(self.name)
        usd = None if price is None else (prompt_tokens * price[0] + answer_tokens * price[1]) / MILLION
        return Usage(requests=1, prompt_tokens=prompt_tokens, answer_tokens=answer_tokens, usd=usd, estimated=estimated)

    def describe(self, used: Usage) -> str:
        """A sentence for the reader: what was used in a run so far."""
        bound = "at most " if used.estimated else ""
        usd = "price not known" if used.usd is None else f"{bound}${used.usd:.4f}"
        times = f"{used.requests} time{'s' * (used.requests != 1)}"
        return f"{self.name} was asked {times} in this run: {bound}{used.tokens} tokens, {usd}."
