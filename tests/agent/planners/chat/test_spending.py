"""What chat models cost, the ceiling that stops them in time, and the answers that are kept on disk."""

import json
import logging

import pytest

from agent.planners import load_planner
from agent.planners.chat import ChatOptions, ChatPlanner
from agent.planners.plan import Plan
from evaluators.report import Report, Verdict, VerdictKind
from instdiff import settings
from instdiff.errors import BadInput, ServiceError
from prompts.budget import LEAST_ANSWER_TOKENS, MAX_ANSWER_TOKENS
from prompts.usage import Usage
from tests.agent.openai_server import GOOD, ChatServer, Reply, failed, said

KEY = "sk-secret-0123456789"
PROMPT = "a dog beside a red ball, no people"
SIZE = (512, 512)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)


def planner(server: ChatServer, name: str = "openai:gpt-4o", **options) -> ChatPlanner:
    return ChatPlanner(name, ChatOptions(base_url=server.url, api_key=KEY, **{"timeout_s": 5, **options}))


def nothing_found(plan: Plan) -> Report:
    missing = [
        Verdict(instance=i, name=thing.name, kind=VerdictKind.MISSING) for i, thing in enumerate(plan.layout.instances)
    ]
    return Report(detector="d", iou_threshold=0.5, verdicts=tuple(missing))


# name: the replies, (requests, prompt tokens, answer tokens), whether they are estimates, dollars; gpt-4o costs 2.5 and
# 10 a million
USED = {
    "one answer": ([said(GOOD, usage=(3000, 400))], (1, 3000, 400), False, 0.0115),
    "a bad one before": (
        [Reply("A dog.", usage=(3000, 10)), said(GOOD, usage=(3100, 400))],
        (2, 6100, 410),
        False,
        0.01935,
    ),
    "a truncated one before": (
        [Reply("{", finish="length", usage=(3000, 90)), said(GOOD, usage=(3000, 400))],
        (2, 6000, 490),
        False,
        0.0199,
    ),
    "an error costs nothing": ([failed(500), said(GOOD, usage=(3000, 400))], (2, 3000, 400), False, 0.0115),
    "a limit costs nothing": (
        [failed(429, Retry_After="0"), said(GOOD, usage=(3000, 400))],
        (2, 3000, 400),
        False,
        0.0115,
    ),
}


@pytest.mark.parametrize("case", USED)
def test_what_is_used_is_counted(case):
    replies, tokens, estimated, usd = USED[case]
    with ChatServer(*replies) as server:
        asker = planner(server)
        plan = asker.plan(PROMPT, SIZE, 0)
    used = asker.usage
    assert (used.requests, used.prompt_tokens, used.answer_tokens) == tokens and used.estimated is estimated
    assert used.usd == pytest.approx(usd)
    assert (
        plan.notes[-1]
        == f"openai:gpt-4o was asked {tokens[0]} time{'s' * (tokens[0] > 1)} in this run: {used.tokens} tokens,"
        f" ${usd:.4f}."
    )


@pytest.mark.parametrize("reply", [said(GOOD, usage=None), Reply(body=b"{}"), Reply(how="never")])
def test_what_is_not_said_is_estimated_upwards(reply):
    with ChatServer(reply) as server:
        asker = planner(server, timeout_s=0.5, max_attempts=1, max_tokens=20_000)
        try:
            plan = asker.plan(PROMPT, SIZE, 0)
        except ServiceError:
            plan = None
    assert asker.usage.estimated and 20_000 >= asker.usage.tokens > asker.usage.answer_tokens == MAX_ANSWER_TOKENS
    assert plan is None or "at most" in plan.notes[-1]


@pytest.mark.parametrize(
    ("ceiling", "field"),
    [({"max_tokens": 500}, "--max-tokens"), ({"max_usd": 0.0}, "--max-usd"), ({"max_usd": 0.002}, "--max-usd")],
)
def test_nothing_is_asked_that_does_not_fit(ceiling, field):
    with (
        ChatServer(said(GOOD)) as server,
        pytest.raises(ServiceError, match=f"openai:gpt-4o: the ceiling of .*; raise {field}"),
    ):
        planner(server, **ceiling).plan(PROMPT, SIZE, 0)
    assert server.requests == []


@pytest.mark.parametrize("ceiling", [{"max_tokens": 9000}, {"max_usd": 0.05}])
def test_the_ceiling_holds_over_retries(ceiling):
    """A server that takes all it is given: the ceiling is never passed, and the error says that it was reached."""
    with ChatServer(Reply("A dog.", usage=(4000, 2500))) as server:
        asker = planner(server, max_attempts=10, **ceiling)
        with pytest.raises(ServiceError, match="no usable layout: .*; the ceiling of") as caught:
            asker.plan(PROMPT, SIZE, 0)
    assert 1 <= len(server.requests) < 10 and asker.usage.requests == len(server.requests)
    assert f"(after {len(server.requests)} request" in str(caught.value)
    assert all(request["max_completion_tokens"] >= LEAST_ANSWER_TOKENS for request in server.requests)


def test_the_answer_is_bounded_by_what_is_left():
    with ChatServer(failed(400), failed(400), said(GOOD)) as server:
        planner(server, max_tokens=6000).plan(PROMPT, SIZE, 0)
    limits = [request["max_completion_tokens"] for request in server.requests]
    assert all(LEAST_ANSWER_TOKENS <= limit < 6000 for limit in limits), (
        "also in the way that sends as little as it can"
    )


def test_a_revision_that_does_not_fit_keeps_the_plan():
    with ChatServer(said(GOOD, usage=(3000, 2000))) as server:
        asker = planner(server, max_tokens=6000)
        plan = asker.plan(PROMPT, SIZE, 7)
        revised = asker.revise(PROMPT, plan, nothing_found(plan), 8)
    assert len(server.requests) == 1 and revised.layout == plan.layout and revised.seed == 8
    assert "painted again with another seed" in revised.notes[0] and "5000 are used" in revised.notes[0]


def test_who_goes_on_with_a_run_says_what_it_has_spent():
    with ChatServer(said(GOOD)) as server, pytest.raises(ServiceError, match="9000 are used"):
        asker = planner(server, max_tokens=10_000)
        asker.start(Usage(requests=2, prompt_tokens=8000, answer_tokens=1000))
        asker.plan(PROMPT, SIZE, 0)
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_usd": 1}, "max_usd: the price of chat:m is not known"),
        ({"max_usd": -1}, "max_usd: -1"),
        ({"max_usd": float("nan")}, "max_usd: nan"),
        ({"max_tokens": 0}, "max_tokens: 0 tokens buy nothing"),
    ],
)
def test_ceilings_that_are_refused(options, field):
    with pytest.raises(BadInput, match=field):
        load_planner("chat:m@http://x", **options)


def test_the_same_question_is_paid_once(tmp_path):
    with ChatServer(said(GOOD)) as server:
        first = planner(server, cache=tmp_path / "plans").plan(PROMPT, SIZE, 0)
        again = planner(server, cache=tmp_path / "plans")
        second = again.plan(PROMPT, SIZE, 0)
    assert len(server.requests) == 1 and again.usage == Usage()
    assert (second.layout, second.scene, second.ids) == (first.layout, first.scene, first.ids)
    assert second.notes == ("The answer was kept from an earlier run.",)
    (entry,) = (tmp_path / "plans").iterdir()
    assert json.loads(entry.read_text()) == {"answer": json.dumps(GOOD)}


OTHER = {
    "prompt": ({}, ("another dog", SIZE, 0)),
    "size": ({}, (PROMPT, (640, 512), 0)),
    "seed": ({}, (PROMPT, SIZE, 1)),
    "temperature": ({"temperature": 0.7}, (PROMPT, SIZE, 0)),
    "model": ({"name": "openai:gpt-4o-mini"}, (PROMPT, SIZE, 0)),
    "schema": ({"planning": "boxes"}, (PROMPT, SIZE, 0)),
}


@pytest.mark.parametrize("what", OTHER)
def test_another_question_is_asked(what, tmp_path):
    options, asked = OTHER[what]
    with ChatServer(said(GOOD)) as server:
        planner(server, cache=tmp_path).plan(PROMPT, SIZE, 0)
        try:
            planner(server, cache=tmp_path, **options).plan(*asked)
        except ServiceError:
            assert what == "schema", "the server answers with a scene"
    assert len(server.requests) > 1


def test_another_server_is_asked(tmp_path):
    with ChatServer(said(GOOD)) as one, ChatServer(said(GOOD)) as other:
        for server in (one, other):
            planner(server, cache=tmp_path).plan(PROMPT, SIZE, 0)
    assert len(one.requests) == len(other.requests) == 1


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"answer": 1}', b'{"answer": "{}"}', b"\xff\xfe", b"[" * 100_000, b"x" * 500_000]
)
def test_a_damaged_entry_is_ignored_and_replaced(damage, tmp_path):
    with ChatServer(said(GOOD)) as server:
        planner(server, cache=tmp_path).plan(PROMPT, SIZE, 0)
        (entry,) = tmp_path.iterdir()
        entry.write_bytes(damage)
        for _ in range(2):
            assert planner(server, cache=tmp_path).plan(PROMPT, SIZE, 0).layout.instances
    assert len(server.requests) == 2 and len(list(tmp_path.iterdir())) == 1


def test_only_usable_answers_are_kept(tmp_path):
    with ChatServer(Reply("A dog.")) as server, pytest.raises(ServiceError):
        planner(server, cache=tmp_path).plan(PROMPT, SIZE, 0)
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_nowhere(tmp_path, caplog):
    """A server that repeats the key, in an answer and in an error."""
    caplog.set_level(logging.DEBUG)
    telling = {**GOOD, "caption": f"a dog with the key {KEY}"}
    with ChatServer(failed(500, KEY), said(telling)) as server:
        plan = planner(server, cache=tmp_path).plan(PROMPT, SIZE, 0)
    assert server.keys == [f"Bearer {KEY}"] * 2 and "***" in plan.layout.caption
    kept = "".join(path.name + path.read_text() for path in tmp_path.iterdir())
    assert kept and not any(KEY in text for text in (kept, str(plan), caplog.text))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"INSTDIFF_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/instdiff"),
        ({"XDG_CACHE_HOME": "b"}, "/home/me/.cache/instdiff"),
        ({}, "/home/me/.cache/instdiff"),
    ],
)
def test_where_the_cache_is(variables, expected, monkeypatch):
    for name in ("INSTDIFF_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert str(settings.cache_folder()) == expected


def test_load_planner_keeps_answers_where_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.setenv("INSTDIFF_CACHE", str(tmp_path))
    with ChatServer(said(GOOD)) as server:
        for cached in (False, True, True):
            load_planner(f"chat:m@{server.url}", cached=cached).plan(PROMPT, SIZE, 0)
    assert len(server.requests) == 2 and len(list((tmp_path / "plans").iterdir())) == 1
