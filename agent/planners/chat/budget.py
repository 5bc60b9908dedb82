"""What chat models cost, and a ceiling that is looked at before each request.

``prices.json`` holds US dollars for a million tokens, [prompt, answer], as OpenAI listed them for its models.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from agent.planners.chat.reply import Reply
from instdiff.errors import BadInput
from prompts.usage import Usage

MAX_ANSWER_TOKENS = 8192
LEAST_ANSWER_TOKENS = 200  # no scene fits into less, so that such a request would be money lost
CHARS_A_TOKEN = 3.0  # English has four and more: the estimate is meant to be too high
MILLION = 1_000_000
PRICES = Path(__file__).with_name("prices.json")


class Spent(Exception):
    """Another request does not fit under the ceiling; the message says why."""


def price_of(name: str) -> tuple[float, float] | None:
    """US dollars for a million tokens (prompt, answer) of a planner such as ``openai:gpt-4o``; None if it is not known.

    Models on one's own machine cost nothing; another server asks what it wants, whatever its model is called.
    """
    provider, _, model = name.partition(":")
    if provider in ("ollama", "llama"):
        return (0.0, 0.0)
    if provider != "openai":
        return None
    prices = json.loads(PRICES.read_text(encoding="utf-8"))
    found = prices.get(model) or prices.get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model))
    return tuple(found) if found else None


def estimated_tokens(messages: list[tuple[str, str]], schema: dict) -> int:
    """A number of prompt tokens that these messages hardly exceed."""
    texts = [text for _, text in messages] + [json.dumps(schema)]
    # what is not ASCII can take a token a byte
    weight = sum(len(text.encode()) if not text.isascii() else len(text) / CHARS_A_TOKEN for text in texts)
    return int(weight) + 10 * len(messages)


@dataclass(frozen=True)
class Ceiling:
    """How many tokens and dollars one run may spend, and what a token costs.

    Args:
        name: the planner's.
        max_tokens: prompts and answers together; None for no bound.
        max_usd: US dollars; None for no bound.

    Raises:
        BadInput: a bound makes no sense, or one in dollars is asked of a model whose price is not known.
    """

    name: str
    max_tokens: int | None = None
    max_usd: float | None = None

    def __post_init__(self):
        if self.max_tokens is not None and self.max_tokens < 1:
            raise BadInput("max_tokens", f"{self.max_tokens} tokens buy nothing; give at least 1, or leave it out")
        if self.max_usd is not None and not self.max_usd >= 0:
            raise BadInput("max_usd", f"{self.max_usd} is no amount; give US dollars, 0 or more, or leave it out")
        if self.max_usd is not None and price_of(self.name) is None:
            raise BadInput(
                "max_usd", f"the price of {self.name} is not known, so dollars cannot be bounded; give --max-tokens"
            )

    @property
    def binds(self) -> bool:
        return self.max_tokens is not None or self.max_usd is not None

    def room(self, used: Usage, prompt_tokens: int) -> int:
        """How many tokens the next answer may have after a prompt of this estimated length.

        Raises:
            Spent: there is no room for a usable one.
        """
        room = MAX_ANSWER_TOKENS
        if self.max_tokens is not None:
            room = min(room, self.max_tokens - used.tokens - prompt_tokens)
            if room < LEAST_ANSWER_TOKENS:
                raise Spent(
                    f"the ceiling of {self.max_tokens} tokens leaves no room for another request: {used.tokens} are"
                    f" used, the next takes about {prompt_tokens} and its answer at least {LEAST_ANSWER_TOKENS}; raise"
                    " --max-tokens"
                )
        prompt_price, answer_price = price_of(self.name) or (0.0, 0.0)
        if self.max_usd is not None and answer_price:
            left = self.max_usd - used.usd - prompt_tokens * prompt_price / MILLION
            room = min(room, int(left * MILLION / answer_price))
            if room < LEAST_ANSWER_TOKENS:
                raise Spent(
                    f"the ceiling of {self.max_usd:g} dollars leaves no room for another request: {used.usd:.4f} are"
                    f" used, and the next takes about {prompt_tokens} tokens and its answer at least"
                    f" {LEAST_ANSWER_TOKENS}; raise --max-usd"
                )
        return room

    def after(self, used: Usage, reply: Reply, prompt_tokens: int, room: int) -> Usage:
        """What is used after a reply; where it does not say, the estimate and the whole room are counted."""
        said = reply.prompt_tokens is not None and reply.answer_tokens is not None
        prompt, answer = (reply.prompt_tokens, reply.answer_tokens) if said else (prompt_tokens, room)
        price = price_of(self.name)
        usd = (
            None if price is None or used.usd is None else used.usd + (prompt * price[0] + answer * price[1]) / MILLION
        )
        return Usage(
            requests=used.requests + 1,
            prompt_tokens=used.prompt_tokens + prompt,
            answer_tokens=used.answer_tokens + answer,
            usd=usd,
            estimated=used.estimated or not said,
        )


def in_words(name: str, used: Usage) -> str:
    """A note for the reader: what was used so far."""
    about = "at most " if used.estimated else ""
    usd = "price not known" if used.usd is None else f"{about}${used.usd:.4f}"
    return (
        f"{name} was asked {used.requests} time{'s' * (used.requests != 1)} in this run: {about}{used.tokens} tokens,"
        f" {usd}."
    )
