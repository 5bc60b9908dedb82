"""The chat planner against a real local server: each case ends in a plan or one clear error."""

import json
import logging
import re
import subprocess
import sys
import time
import traceback

import pytest

from agent.planners import load_planner
from agent.planners.chat import ChatOptions, ChatPlanner
from instdiff.errors import BadInput, ServiceError
from tests.agent.openai_server import GOOD, ChatServer, Reply, failed, said

KEY = "sk-secret-0123456789"
PROMPT = "a dog beside a red ball, no people"


def planner(server: ChatServer, **options) -> ChatPlanner:
    return ChatPlanner(
        "openai:test-model", ChatOptions(base_url=server.url, api_key=KEY, **{"timeout_s": 5, **options})
    )


BAD = said({**GOOD, "absent": ["hound"]})
LONG_LIST = {**GOOD, "objects": GOOD["objects"] * 16, "relations": []}

# name: the server's replies, how many requests are made
PLANS = {
    "structured output": ([said(GOOD)], 1),
    "refuses json_schema, takes tools": ([failed(400, "json_schema is not supported"), said(GOOD)], 2),
    "refuses json_schema with 422": ([failed(422, "unknown field"), said(GOOD)], 2),
    "refuses json_schema with 500": (
        [failed(500, "('body', 'response_format', 'type'): should be 'text' or 'json_object'"), said(GOOD)],
        2,
    ),
    "refuses both, takes any JSON": ([failed(400), failed(400), said(GOOD)], 3),
    "refuses all, takes plain messages": ([failed(400), failed(400), failed(400), said(GOOD)], 4),
    "answers nothing where a form is asked for": ([Reply(""), Reply(""), Reply(None), said(GOOD)], 4),
    "answers in its thought": ([Reply(None, thought=json.dumps(GOOD))], 1),
    "only thinks at first": ([Reply(None, thought="A dog and a ball."), said(GOOD)], 2),
    "fenced after prose": ([Reply("Here it is:\n```json\n" + json.dumps(GOOD) + "\n```\nEnjoy!")], 1),
    "commas before brackets": ([Reply(json.dumps(GOOD).replace("}", ",}").replace("]", ",]"))], 1),
    "rate limited with Retry-After": ([failed(429, Retry_After="0.1"), said(GOOD)], 2),
    "fails once": ([failed(500), said(GOOD)], 2),
    "no JSON at first": ([Reply("I would put the dog on the left."), said(GOOD)], 2),
    "truncated at first": ([Reply(json.dumps(GOOD)[:50], finish="length"), said(GOOD)], 2),
    "wrong schema at first": ([said({"boxes": []}), said(GOOD)], 2),
    "a thing that is there and is not, twice": ([BAD, BAD, said(GOOD)], 3),
    "a body that is no completion at first": ([Reply(body=b"[1, 2]"), said(GOOD)], 2),
}

# name: the replies, how many requests are made, what the error says
ERRORS = {
    "key refused": (
        [failed(401, f"Incorrect API key provided: {KEY}")],
        1,
        "refused the key (401); check OPENAI_API_KEY",
    ),
    "key without rights": ([failed(403, KEY)], 1, "refused the key (403)"),
    "no such model": ([failed(404, f"model test-model does not exist for {KEY}")], 1, "(404)"),
    "refuses every form": ([failed(400, "no\nway")], 4, "refused the request (400)"),
    "always rate limited": ([failed(429, Retry_After="0")], 3, "rate limited (429)"),
    "asks to wait too long": ([failed(429, Retry_After="3600")], 1, "asks to wait 3600 s"),
    "no quota": ([failed(429, "insufficient_quota")], 1, "no quota left"),
    "always fails": ([failed(503, Retry_After="0")], 3, "failed (503)"),
    "refusal": ([Reply(None, refusal="I cannot help with that.")], 1, "refusal"),
    "content filter": ([Reply("", finish="content_filter")], 1, "refusal"),
    "always truncated": ([Reply(json.dumps(GOOD)[:50], finish="length")], 3, "truncated"),
    "always truncated, unsaid": ([Reply(json.dumps(GOOD)[:50])], 3, "no complete JSON object"),
    "always the wrong schema": ([said({"objects": [{"x": 1}]})], 3, "caption: Field required"),
    "always text": ([Reply("A dog.")], 3, "no complete JSON object"),
    "always empty": ([Reply("")], 6, "empty"),
    "always a thing that is there and is not": ([BAD], 3, '"dog" is among the objects and among the absent things'),
    "a refusal without usage": ([Reply(None, refusal="No.", usage=None)], 1, "refusal"),
    "too many objects": ([said(LONG_LIST)], 3, "32 objects; give 1 to 30"),
    "no objects": ([said({**GOOD, "objects": []})], 3, "0 objects"),
    "nested past all sense": ([Reply('{"objects":' * 4000)], 3, "no complete JSON object"),
    "far too long": ([Reply(" " * 70_000 + json.dumps(GOOD))], 3, "at most 60000 are allowed"),
    "not JSON at all": ([Reply(body=b"<html>hello</html>")], 3, "no chat completion"),
    "no choices": ([Reply(body=b'{"id": "x"}')], 3, "no chat completion"),
    "empty choices": ([Reply(body=b'{"choices": []}')], 3, "no chat completion"),
    "compressed": ([Reply(body=b"x", headers={"Content-Encoding": "gzip"})], 1, "sends compressed answers"),
}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("case", PLANS)
def test_ends_in_a_plan(case):
    replies, requests = PLANS[case]
    with ChatServer(*replies) as server:
        plan = planner(server).plan(PROMPT, (768, 512), 7)
    assert len(server.requests) == requests
    assert (plan.planner, plan.seed, plan.layout.size) == ("openai:test-model", 7, (768, 512))
    assert plan.layout.negative_caption == "people" and sorted(plan.ids) == ["ball-1", "dog-1"]
    things = dict(zip(plan.ids, plan.layout.instances, strict=True))
    dog = things["dog-1"]
    ball = things["ball-1"]
    assert (dog.category, dog.caption, ball.category) == ("dog", "a brown dog", "ball")
    assert dog.box.centre.x < ball.box.centre.x and dog.box.area > ball.box.area
    assert plan.notes[-1].startswith(f"openai:test-model was asked {requests} time{'s' * (requests > 1)} in this run: ")


@pytest.mark.parametrize("case", ERRORS)
def test_ends_in_one_clear_error(case, caplog):
    replies, requests, reason = ERRORS[case]
    caplog.set_level(logging.DEBUG)
    with ChatServer(*replies) as server, pytest.raises(ServiceError) as caught:
        planner(server).plan(PROMPT, (512, 512), 0)
    assert len(server.requests) == requests
    assert reason in str(caught.value) and str(caught.value).startswith("openai:test-model: ")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert server.keys == [f"Bearer {KEY}"] * requests
    assert KEY not in "".join(traceback.format_exception(caught.value)) and KEY not in caplog.text
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("how", "reason"), [("never", "timeout"), ("endless", "does not end"), ("dribble", "does not end")]
)
def test_a_server_that_does_not_end_is_left(how, reason):
    started = time.monotonic()
    with ChatServer(Reply(how=how, body=b" ")) as server, pytest.raises(ServiceError, match=reason):
        planner(server, timeout_s=0.4, max_attempts=2).plan(PROMPT, (512, 512), 0)
    assert len(server.requests) == 2
    assert time.monotonic() - started < 8  # the time that was given is kept


def test_the_ways_of_asking():
    with ChatServer(failed(400), failed(400), failed(400), said(GOOD)) as server:
        asker = planner(server)
        asker.plan(PROMPT, (512, 512), 7)
        asker.plan(PROMPT, (512, 512), 7)
    schema, tools, loose, plain, again = server.requests
    assert schema["response_format"]["json_schema"]["schema"]["required"] == [
        "caption",
        "setting",
        "objects",
        "relations",
        "absent",
    ]
    assert schema["response_format"]["json_schema"]["strict"] is True
    assert (schema["temperature"], schema["seed"], schema["max_completion_tokens"]) == (0.2, 7, 8192)
    assert (
        "response_format" not in tools
        and tools["tool_choice"]["function"]["name"] == tools["tools"][0]["function"]["name"]
    )
    assert loose["response_format"] == {"type": "json_object"} and "tools" not in loose
    assert set(plain) - {"stream"} == {"model", "messages"}, "the last way sends nothing that a server could refuse"
    assert set(again) == set(plain), "what was refused once is not tried again"


def test_other_servers_are_told_the_limit_under_its_old_name():
    with ChatServer(failed(400), failed(400), said(GOOD)) as server:
        ChatPlanner("chat:m", ChatOptions(base_url=server.url, timeout_s=5, max_tokens=9000)).plan(
            PROMPT, (512, 512), 7
        )
    assert all(
        200 <= request["max_tokens"] < 9000 and "max_completion_tokens" not in request for request in server.requests
    )


def test_a_bad_answer_is_told_to_the_model():
    with ChatServer(BAD, BAD, said(GOOD)) as server:
        planner(server).plan(PROMPT, (512, 512), 0)
    first, _, third = (request["messages"] for request in server.requests)
    assert [message["role"] for message in first] == ["system", "user"]
    assert PROMPT in first[1]["content"] and "512 x 512" in first[1]["content"]
    assert [message["role"] for message in third] == ["system", "user", "assistant", "user"], "the talk does not grow"
    assert json.loads(third[2]["content"])["absent"] == ["hound"]
    assert "among the absent things" in third[3]["content"]


def test_what_is_filled_in_is_not_read_again():
    with ChatServer(said(GOOD)) as server:
        planner(server).plan("a sign that says $width ${reason} {x}", (512, 512), 0)
    assert "$width ${reason} {x}" in server.requests[0]["messages"][1]["content"]


@pytest.mark.parametrize(
    ("replies", "requests", "expected"),
    [
        ([said(GOOD)], 1, None),
        ([failed(400, "format is not supported"), said(GOOD)], 2, None),
        ([failed(404, "model not found")], 1, "(404)"),
        ([Reply("{", finish="length")], 3, "truncated"),
        ([Reply(body=b'{"error": "out of memory"}\n')], 3, "no chat completion"),
    ],
)
def test_ollama(replies, requests, expected):
    with ChatServer(*replies) as server:
        asker = load_planner(f"ollama:llama3.1:8b@{server.host}", timeout_s=5)
        if expected is None:
            plan = asker.plan(PROMPT, (512, 512), 3)
            assert plan.planner == "ollama:llama3.1:8b" and len(plan.layout.instances) == 2
        else:
            with pytest.raises(ServiceError, match=re.escape(expected)):
                asker.plan(PROMPT, (512, 512), 3)
    assert len(server.requests) == requests and set(server.paths) == {"/api/chat"}
    assert server.requests[0]["format"]["required"] and server.requests[0]["options"]["seed"] == 3


@pytest.mark.parametrize("provider", ["openai", "ollama"])
def test_nobody_listens(provider):
    with ChatServer(Reply()) as server:
        address = server.host
    with pytest.raises(ServiceError, match=f"{address}; is the server running"):
        load_planner(f"{provider}:m@{address}", max_attempts=2, timeout_s=5).plan(PROMPT, (512, 512), 0)


@pytest.mark.parametrize(
    ("name", "options", "url", "planned_by"),
    [
        ("openai:m", {"base_url": "URL"}, None, "openai:m"),
        ("openai:m@URL", {}, None, "openai:m"),
        ("chat:org/m:free", {"base_url": "URL"}, None, "chat:org/m:free"),
        ("chat:m@URL", {"base_url": None, "api_key": "other"}, None, "chat:m"),
        ("openai:m", {}, "URL", "openai:m"),
        ("chat:m@URL", {}, "http://127.0.0.1:1/v1", "chat:m"),
    ],
)
def test_names_and_addresses(name, options, url, planned_by, monkeypatch):
    with ChatServer(said(GOOD)) as server:
        if url:
            monkeypatch.setenv("OPENAI_BASE_URL", url.replace("URL", server.url))
        options = {key: server.url if value == "URL" else value for key, value in options.items()}
        plan = load_planner(name.replace("URL", server.url), **options).plan(PROMPT, (512, 512), 0)
    assert plan.planner == planned_by and server.requests[0]["model"] == planned_by.partition(":")[2]
    assert server.keys == ["Bearer other" if "api_key" in options else "Bearer none"]


@pytest.mark.parametrize(
    ("name", "options", "error", "reason"),
    [
        ("gpt-4o", {}, BadInput, "there is no planner 'gpt-4o'; the planners are auto, offline, openai:MODEL"),
        ("", {}, BadInput, "there is no planner ''"),
        ("openai:", {}, BadInput, "there is no planner"),
        ("mistral:m", {}, BadInput, "there is no planner"),
        ("openai:a b", {}, BadInput, "there is no planner"),
        ("chat:m", {}, BadInput, "chat:m@http://HOST:PORT/v1"),
        ("chat:m@ftp://x", {}, BadInput, "planner_url: an address looks like"),
        ("chat:m@http://x:99999", {}, BadInput, "planner_url: this is no address"),
        ("offline", {"base_url": "http://x"}, BadInput, "planner_url: the offline planner asks no server"),
        ("llama:", {}, BadInput, "there is no planner"),
        ("llama:no/such.gguf", {}, BadInput, "llama:no/such.gguf cannot be read: No such file"),
        (f"llama:{__file__}", {}, BadInput, "is no GGUF file"),
        (f"llama:{__file__}", {"base_url": "http://x"}, BadInput, "planner_url: a model from a file asks no server"),
        ("openai:gpt-4o", {}, ServiceError, "set OPENAI_API_KEY, .* --planner offline"),
        ("openai:m@http://x", {"max_attempts": 0}, BadInput, "max_attempts 0"),
        (
            "openai:m@http://x",
            {"planning": "pixels"},
            BadInput,
            "planning: there is no way 'pixels' to plan; give one of scene, boxes",
        ),
    ],
)
def test_names_that_are_refused(name, options, error, reason):
    with pytest.raises(error, match=reason):
        load_planner(name, **options)


@pytest.mark.parametrize(
    ("prompt", "size", "field"),
    [
        (" ", (512, 512), "prompt"),
        ("x" * 8001, (512, 512), "prompt.caption"),
        ("\udc80", (512, 512), "prompt"),
        ("x", (9, 512), "prompt.width"),
    ],
)
def test_bad_input_costs_no_request(prompt, size, field):
    with ChatServer(said(GOOD)) as server, pytest.raises(BadInput) as caught:
        planner(server).plan(prompt, size, 0)
    assert caught.value.field == field and server.requests == []


@pytest.mark.parametrize(
    "address", ["http://user:hush@127.0.0.1:9/v1", "http://hush@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?token=hush"]
)
def test_an_address_with_a_secret_is_refused(address):
    with pytest.raises(
        BadInput, match="planner_url: the address at http://127.0.0.1:9 holds a user name, password or query"
    ) as caught:
        load_planner(f"chat:m@{address}")
    assert "hush" not in str(caught.value)


def test_importing_the_planners_is_light():
    code = "import sys, agent, agent.planners, agent.planners.chat; agent.planners.load_planner('chat:m@http://x');"
    code += (
        "print([name for name in ('torch', 'langchain_core', 'langchain_openai', 'langgraph', 'openai') if name in"
        " sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
