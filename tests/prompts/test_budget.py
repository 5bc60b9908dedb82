"""What models cost, and how usages add up."""

import pytest

from prompts.budget import Budget, BudgetExceededError, price_of
from prompts.usage import Usage


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("openai:gpt-4o", (2.5, 10.0)),
        ("openai:gpt-4o-2024-08-06", (2.5, 10.0)),
        ("openai:gpt-4o-2024-05-13", (5.0, 15.0)),
        ("openai:gpt-7", None),
        ("chat:gpt-4o", None),
        ("ollama:llama3.1", (0.0, 0.0)),
        ("llama:/m.gguf", (0.0, 0.0)),
    ],
)
def test_prices(name, price):
    assert price_of(name) == price


def test_an_unknown_price_stays_unknown():
    usage = Usage() + Budget("chat:m").usage_of(5, 6)
    assert (usage.tokens, usage.usd, usage.requests) == (11, None, 1)
    assert (usage + Budget("openai:gpt-4o").usage_of(5, 6)).usd is None


def test_dollars_are_not_spent_on_top_of_an_unknown_sum():
    with pytest.raises(BudgetExceededError, match="not known"):
        Budget("openai:gpt-4o", max_usd=1.0).answer_room(Usage(requests=1, usd=None), 100)


def test_usages_are_added_and_subtracted():
    first = Usage(requests=1, prompt_tokens=5, answer_tokens=2, usd=0.25)
    second = Usage(requests=2, prompt_tokens=7, usd=0.5, estimated=True)
    total = first + second
    assert total == Usage(requests=3, prompt_tokens=12, answer_tokens=2, usd=0.75, estimated=True)
    assert (total - first) == second and sum([first, second], Usage()) == total
