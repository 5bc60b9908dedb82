"""What a planner costs and how far the work is, while it goes on and when it is done."""

from dataclasses import replace

import pytest

from agent.dataset.export.card import write_card
from agent.dataset.export.records import read_records
from agent.dataset.folder import ITEMS, FailedCandidate
from agent.dataset.making import MakingProgress, make, show_progress
from agent.dataset.sources import Prompts
from prompts.usage import Usage
from tests.agent.doubles import ListPlanner
from tests.agent.doubles_dataset import COUNT, RECIPE, an_order, placed


class PaidPlanner(ListPlanner):
    """Takes 100 tokens and a cent for a plan, and twice that for a revision."""

    def _log(self, call):
        times = {"plan": 1, "revise": 2}[call]
        more = Usage(requests=1, prompt_tokens=80 * times, answer_tokens=20 * times, usd=0.01 * times)
        self.start(self.usage + more)


@pytest.fixture(autouse=True)
def doubles(monkeypatch):
    painter = placed(monkeypatch)
    monkeypatch.setattr("agent.dataset.planning.load_planner", lambda name, **options: PaidPlanner())
    monkeypatch.setattr("agent.dataset.worker.planner_of", lambda recipe: PaidPlanner())
    return painter


def test_usage_is_told_and_kept_with_each_item(tmp_path, doubles):
    order = replace(an_order(tmp_path, Prompts(("a dog", "a cat"))), count=4, tries=1)
    doubles.forget("cat", seeds={RECIPE.seed_of(index) for index in range(4)})  # one round more for each cat
    order.folder.open({**RECIPE.fingerprint(), **order.source.about()})
    with show_progress(order.folder, 4) as on_usage:
        taken = []
        make(order, lambda usage: taken.append(usage) or on_usage(usage))
    order.folder.finish(4)
    assert [item.usage.tokens for item in order.folder.read()] == [100, 300, 100, 300]
    total = sum(taken, Usage())
    assert (total.requests, total.tokens) == (6, 800) and total.usd == pytest.approx(0.08)
    write_card(order.folder, read_records(order.folder), tmp_path / "export", ("yolo",))
    assert (
        "| planner usage of what is kept | 6 requests, 800 tokens, $0.0800 |"
        in (tmp_path / "export/README.md").read_text()
    )
    again = []
    make(replace(order, count=COUNT, tries=1), again.append)
    assert sum(again, Usage()).requests == 8  # the first four candidates are not planned again


def test_the_line_says_how_far_it_is(tmp_path):
    order = an_order(tmp_path)
    order.folder.open({})
    progress = MakingProgress(order.folder, 4)
    assert progress.line() == "0 of 4 kept, 0% of 0 accepted, 0.00 kept a second, time left unknown"
    for number, folder in enumerate((order.folder.items, order.folder.rejected)):
        (folder / f"00000{number}.json").write_text("{}")
    order.folder.fail(FailedCandidate(index=2, prompt="a cat", error="no paint"))
    progress.started -= 30
    progress.usage += Usage(requests=2, prompt_tokens=300, answer_tokens=100, usd=0.0125)
    line = progress.line()
    assert line.startswith("1 of 4 kept, 33% of 3 accepted, 0.03 kept a second, 1 failed, 400 tokens, $0.0125, 1:3")
    assert line.endswith(" left") and list(order.folder.decided().values()).count(ITEMS) == progress.done == 1


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Usage(), Usage(requests=2, prompt_tokens=5, usd=0.5), Usage(requests=2, prompt_tokens=5, usd=0.5)),
        (Usage(requests=1, usd=0.25), Usage(requests=2, usd=0.5), Usage(requests=1, usd=0.25)),
        (Usage(requests=1, usd=0.25), Usage(requests=2, usd=None), Usage(requests=1, usd=None)),
    ],
)
def test_differences_and_sums_of_usage(before, after, expected):
    assert after - before == expected
    if after.usd is not None:
        assert before + expected == after
