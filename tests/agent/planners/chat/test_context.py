"""The context that Ollama is asked for: a question that does not fit would lose its beginning without a word."""

import json

import pytest

from agent.planners import load_planner
from agent.planners.chat import ChatPlanner
from agent.planners.chat.scene import SceneForm
from agent.planners.plan import Plan
from evaluators.report import Report, Verdict, VerdictKind
from instdiff.errors import BadInput, ServiceError
from prompts.client import Message, estimated_tokens
from tests.agent.openai_server import GOOD, ChatServer, Reply, said

PROMPT = "a dog beside a red ball, no people"
SIZE = (512, 512)
DOG = GOOD["objects"][0]
MANY = {**GOOD, "objects": [{**DOG, "id": f"dog-{n}"} for n in range(16)], "relations": []}


def planner(server: ChatServer, **options) -> ChatPlanner:
    return load_planner(f"ollama:m@{server.host}", timeout_s=5, **options)


def options_of(server: ChatServer) -> list[dict]:
    return [request["options"] for request in server.requests]


def characters(request: dict) -> int:
    return sum(len(message["content"]) for message in request["messages"])


def nothing_found(plan: Plan) -> Report:
    instances = enumerate(plan.layout.instances)
    verdicts = tuple(Verdict(instance=n, name=item.name, kind=VerdictKind.MISSING) for n, item in instances)
    return Report(detector="d", iou_threshold=0.5, verdicts=verdicts)


@pytest.mark.parametrize("scene", [GOOD, MANY], ids=["2 things", "16 things"])
def test_question_and_answer_fit_and_the_model_is_loaded_once(scene):
    with ChatServer(said(scene)) as server:
        asker = planner(server)
        plan = asker.plan(PROMPT, SIZE, 3)
        asker.revise(PROMPT, plan, nothing_found(plan), 4)
    first, second = options_of(server)
    assert first["num_ctx"] == second["num_ctx"] and first["num_ctx"] <= 16_384
    for request, options in zip(server.requests, (first, second), strict=True):
        tokens = characters(request) / 3.5  # by Llama 3's tokenizer 3.55 characters a token
        assert tokens + 2_000 <= options["num_ctx"] and tokens + options["num_predict"] <= options["num_ctx"] + 500


def test_a_longer_question_gets_more():
    with ChatServer(said(GOOD)) as server:
        asker = planner(server)
        for prompt in (PROMPT, "a dog in a café " * 450, PROMPT):
            asker.plan(prompt, SIZE, 3)
    small, large, again = (options["num_ctx"] for options in options_of(server))
    assert small < large == again, "a smaller one would load the model anew"


@pytest.mark.parametrize("num_ctx", [6_000, 32_768])
def test_an_option_sets_it(num_ctx):
    with ChatServer(said(GOOD)) as server:
        planner(server, num_ctx=num_ctx).plan(PROMPT, SIZE, 3)
    (options,) = options_of(server)
    assert options["num_ctx"] == num_ctx and options["num_predict"] <= num_ctx - characters(server.requests[0]) / 4.5


def test_one_that_is_too_small_is_refused_before_anything_is_asked():
    with (
        ChatServer(said(GOOD)) as server,
        pytest.raises(ServiceError, match="a context of 2048 tokens is too small: .* raise --num-ctx"),
    ):
        planner(server, num_ctx=2_048).plan(PROMPT, SIZE, 3)
    assert server.requests == []


STOPPED = json.dumps(
    {"model": "m", "created_at": "2025-01-01T00:00:00Z", "message": {"role": "assistant", "content": json.dumps(GOOD)}}
)


@pytest.mark.parametrize(
    "reply",
    [Reply(json.dumps(GOOD)[:200], finish="length"), Reply(json.dumps(GOOD), finish="length")]
    + [Reply(body=f"{STOPPED}\n".encode())],
    ids=["in the middle", "at the end", "without a last line"],
)
def test_an_answer_that_is_cut_short_says_so(reply):
    said_so = (
        "truncated: the answer was cut off .*; the model had a context of 20000 tokens, --num-ctx gives it another"
    )
    with ChatServer(reply) as server, pytest.raises(ServiceError, match=said_so):
        planner(server, num_ctx=20_000, max_attempts=2).plan(PROMPT, SIZE, 3)
    assert len(server.requests) == 2
    with ChatServer(reply, said(GOOD)) as server:
        assert planner(server).plan(PROMPT, SIZE, 3).layout.instances


def test_an_answer_where_the_thought_should_be():
    with ChatServer(Reply("", thought=json.dumps(GOOD))) as server:
        assert len(planner(server).plan(PROMPT, SIZE, 3).layout.instances) == 2
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["openai:gpt-4o", "chat:m@http://127.0.0.1:9/v1", "auto", "offline"])
def test_services_have_a_context_of_their_own(name):
    with pytest.raises(BadInput, match="num_ctx: is about ollama:MODEL and llama:FILE.gguf"):
        load_planner(name, num_ctx=8_192)


def test_a_context_of_nothing():
    with pytest.raises(BadInput, match="num_ctx: 0 tokens"):
        load_planner("ollama:m", num_ctx=0)


def test_other_services_are_not_told():
    with ChatServer(said(GOOD)) as server:
        load_planner(f"chat:m@{server.url}", timeout_s=5).plan(PROMPT, SIZE, 3)
    assert "options" not in server.requests[0] and "num_ctx" not in json.dumps(server.requests[0])


def test_the_estimate_holds_for_what_is_sent():
    """Measured with Llama 3's tokenizer: 3,220 to 3,301 tokens for a first plan."""
    with ChatServer(said(GOOD)) as server:
        planner(server).plan(PROMPT, SIZE, 3)
    messages = [Message("human", message["content"]) for message in server.requests[0]["messages"]]
    assert 3_301 < estimated_tokens(messages, None) < estimated_tokens(messages, SceneForm.schema) < 2 * 3_301
