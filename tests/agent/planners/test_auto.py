"""The automatic choice of a planner: a chat model if there is a key, offline where there is none or it fails."""

import pytest

from agent.planners import load_planner
from evaluators.report import Report, Verdict, VerdictKind
from instdiff.errors import ServiceError
from prompts.usage import Usage
from tests.agent.openai_server import GOOD, ChatServer, Reply, failed, said

KEY = "sk-secret-0123456789"
PROMPT = "a dog beside a red ball, no people"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)


def test_auto_says_what_it_took(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(said(GOOD)) as server:
        plan = load_planner("auto", base_url=server.url).plan(PROMPT, (512, 512), 0)
    assert plan.planner == "openai:gpt-4o" and server.keys == [f"Bearer {KEY}"]
    assert plan.notes[0] == "The automatic choice is openai:gpt-4o, because OPENAI_API_KEY is set."


def test_auto_without_a_key_plans_offline():
    planner = load_planner("auto")
    plan = planner.plan("a dog beside a red ball", (512, 512), 0)
    assert plan.planner == "offline" and plan.layout.instances and planner.usage == Usage()
    assert plan.notes[0] == "The automatic choice is the offline planner, because OPENAI_API_KEY is not set."


@pytest.mark.parametrize("trouble", [failed(401, KEY), Reply(None, refusal="no"), Reply("A dog.")])
def test_auto_falls_back_and_says_so(trouble, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(trouble) as server:
        auto = load_planner("auto", base_url=server.url)
        plan = auto.plan("a dog beside a red ball", (512, 512), 0)
        asked = len(server.requests)
        revised = auto.revise("a dog beside a red ball", plan, nothing_found(plan), 1)
        with pytest.raises(ServiceError, match="openai:gpt-4o: .*; nor can the offline planner: prompt: "):
            auto.plan("no", (512, 512), 0)
    assert (plan.planner, revised.planner) == ("offline", "offline") and auto.usage.requests == len(
        server.requests
    ) == 2 * asked
    assert plan.notes[1].startswith("openai:gpt-4o: ") and plan.notes[1].endswith(
        "; the offline planner plans instead."
    )
    assert KEY not in str(plan) and {thing.category for thing in plan.layout.instances} == {"dog", "ball"}


def test_auto_falls_back_in_a_later_round(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer(said(GOOD), failed(404)) as server:
        auto = load_planner("auto", base_url=server.url)
        plan = auto.plan(PROMPT, (512, 512), 0)
        revised = auto.revise(PROMPT, plan, nothing_found(plan), 1)
    assert (plan.planner, revised.planner, len(server.requests)) == ("openai:gpt-4o", "offline", 2)
    assert any("(404)" in note and note.endswith("the offline planner plans instead.") for note in revised.notes)


def nothing_found(plan) -> Report:
    missing = [
        Verdict(instance=i, name=thing.name, kind=VerdictKind.MISSING) for i, thing in enumerate(plan.layout.instances)
    ]
    return Report(detector="d", iou_threshold=0.5, verdicts=tuple(missing))
