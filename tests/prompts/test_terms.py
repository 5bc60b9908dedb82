"""What services refuse, in their own words, and what is asked then; over real HTTP."""

import json

import pytest
from pydantic import SecretStr

from instdiff.errors import ServiceError
from prompts.budget import LEAST_ANSWER_TOKENS, Budget
from prompts.client import Message, ModelClient, Question
from prompts.service import ChatService
from prompts.terms import WAYS, Terms
from tests.agent.openai_server import ChatServer, Reply, failed, said

SCHEMA = {"title": "Number", "type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
ANSWER = said({"number": 7})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)


def client(server: ChatServer, provider: str = "chat", max_tokens: int | None = None) -> ModelClient:
    budget = Budget(f"{provider}:m", max_tokens)
    url = server.host if provider == "ollama" else server.url
    service = ChatService(provider, "m", url, SecretStr("sk-0123456789"), 0.2, 5.0, budget.is_bounded)
    return ModelClient(f"{provider}:m", service, budget)


def ask(asker: ModelClient, schema: dict | None = SCHEMA) -> str:
    return asker.ask(Question((Message("human", "Which number?"),), "number", lambda reply: reply.text, schema, seed=3))


def error(status: int, **fields) -> Reply:
    return Reply(status=status, body=json.dumps(fields).encode())


def openai_error(message: str, param: str | None) -> Reply:
    about = {"message": message, "type": "invalid_request_error", "param": param, "code": "unsupported_parameter"}
    return error(400, error=about)


# name: what the service says, what is not in the next request, and what still is
REFUSALS = {
    "temperature, as OpenAI says it": (
        openai_error("Unsupported value: 'temperature' does not support 0.2 with this model.", "temperature"),
        {"temperature"},
        {"max_tokens", "seed", "response_format"},
    ),
    "the limit, as OpenAI says it": (
        openai_error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens"),
        {"max_tokens"},
        {"max_completion_tokens", "temperature", "seed", "response_format"},
    ),
    "the limit is too large": (
        openai_error("max_tokens is too large: 8192. This model supports at most 4096 completion tokens.", None),
        {"max_tokens", "max_completion_tokens"},
        {"temperature", "seed", "response_format"},
    ),
    "question and answer are too long": (
        error(
            400,
            object="error",
            message="This model's maximum context length is 4096 tokens. However, you requested 11500 tokens (3308 in"
            " the messages, 8192 in the completion).",
            code=400,
        ),
        {"max_tokens", "max_completion_tokens"},
        {"temperature", "seed", "response_format"},
    ),
    "the seed, as FastAPI says it": (
        error(422, detail=[{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs", "input": 3}]),
        {"seed"},
        {"temperature", "max_tokens", "response_format"},
    ),
    "the temperature, in the body of the request": (
        error(
            422,
            detail=[{"loc": ["body", "temperature"], "msg": "forbidden", "input": {"seed": 3, "max_tokens": 8192}}],
        ),
        {"temperature"},
        {"seed", "max_tokens", "response_format"},
    ),
    "two at once": (
        error(400, error={"message": "Unknown parameters: seed, temperature"}),
        {"seed", "temperature"},
        {"max_tokens", "response_format"},
    ),
    "a parameter, as llama.cpp's server says it": (
        error(500, error={"message": "[{'type': 'extra_forbidden', 'loc': ('body', 'seed')}]"}),
        {"seed"},
        {"temperature", "max_tokens", "response_format"},
    ),
    "the form": (
        openai_error("Invalid parameter: 'response_format' of type 'json_schema' is not supported.", "response_format"),
        {"response_format"},
        {"tools", "temperature", "seed", "max_tokens"},
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_is_left_out_and_stays_out(case):
    refusal, gone, kept = REFUSALS[case]
    with ChatServer(refusal, ANSWER) as server:
        asker = client(server)
        assert json.loads(ask(asker)) == json.loads(ask(asker)) == {"number": 7}
    first, *others = server.requests
    assert len(others) == 2 and (gone - {"max_completion_tokens"}) <= first.keys()
    for request in others:
        assert not gone & request.keys() and kept <= request.keys()


def test_a_service_that_knows_next_to_nothing_is_asked_in_the_end():
    """More refusals than there are attempts: they are not attempts."""
    known = {"model", "messages", "stream"}

    def picky(request: dict) -> Reply:
        unknown = sorted(request.keys() - known)
        return openai_error(f"Unknown parameter: '{unknown[0]}'.", unknown[0]) if unknown else ANSWER

    with ChatServer(picky) as server:
        asker = client(server)
        assert json.loads(ask(asker)) == {"number": 7}
        needed = len(server.requests)
        ask(asker)
    assert 4 <= needed <= 8 and len(server.requests) == needed + 1


@pytest.mark.parametrize("provider", ["chat", "ollama"])
def test_the_ways_are_tried_in_their_order(provider):
    with ChatServer(failed(400), failed(400), failed(400), ANSWER) as server:
        asker = client(server, provider)
        ask(asker)
        ask(asker)
    form = "format" if provider == "ollama" else "response_format"
    assert [bool(request.get("tools")) for request in server.requests] == [False, True, False, False, False]
    assert [bool(request.get(form)) for request in server.requests] == [True, False, True, False, False]
    assert asker.model.terms == Terms("plain")
    if provider == "chat":
        assert server.requests[2]["response_format"] == {"type": "json_object"}
        assert {"temperature", "seed", "max_tokens"} <= server.requests[2].keys()
    else:
        assert server.requests[2]["format"] == "json"


@pytest.mark.parametrize("message", ["No endpoints found that support tool use.", "tool_choice is not supported"])
def test_a_router_without_tools_for_a_model(message):
    with ChatServer(failed(400), failed(404, message), ANSWER) as server:
        ask(client(server))
    assert server.requests[2]["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("text", ["", None, " \n", "<think>seven?</think>\n"])
def test_an_empty_answer_is_asked_for_in_the_next_way(text):
    with ChatServer(Reply(text), Reply(text), ANSWER) as server:
        asker = client(server)
        assert json.loads(ask(asker)) == json.loads(ask(asker)) == {"number": 7}
    assert len(server.requests) == 4 and asker.model.terms == Terms("json_mode"), "the way that works is kept"
    assert asker.usage.requests == 4 and asker.usage.answer_tokens == 4, "what brought nothing is counted too"


def test_an_answer_that_is_empty_in_every_way_is_asked_for_so_often():
    with ChatServer(Reply("")) as server:
        assert ask(client(server)) == ""
    assert len(server.requests) == len(WAYS)


@pytest.mark.parametrize(
    ("content", "arguments"), [('{"number": 7}', "{}"), (None, {"number": 7}), ("I call it.", '{"number": 7}')]
)
def test_tool_calls_as_servers_give_them(content, arguments):
    call = {"id": "1", "type": "function", "function": {"name": "Number", "arguments": arguments}}
    message = {"role": "assistant", "content": content, "tool_calls": [call]}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
    with ChatServer(failed(400), Reply(body=body.encode())) as server:
        assert json.loads(ask(client(server))) == {"number": 7}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("content", [None, ""])
@pytest.mark.parametrize("reads_thoughts", [True, False])
def test_a_thought_is_read_where_it_may_be_and_nothing_is_said(field, content, reads_thoughts):
    message = {"role": "assistant", "content": content, field: "seven"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
    question = Question((Message("human", "?"),), "number", lambda reply: reply.text, reads_thoughts=reads_thoughts)
    with ChatServer(Reply(body=body.encode())) as server:
        assert client(server).ask(question) == ("seven" if reads_thoughts else "")


def test_what_is_said_comes_before_what_was_thought():
    with ChatServer(said({"number": 7}, thought='{"number": 6}')) as server:
        assert json.loads(ask(client(server))) == {"number": 7}


@pytest.mark.parametrize("provider", ["chat", "openai"])
def test_a_limit_that_has_to_be_sent_is_made_smaller_or_called_by_its_other_name(provider):
    """The tokens of a run are bounded, so that the limit of an answer cannot be left out."""
    usual, other = ("max_completion_tokens", "max_tokens")[:: 1 if provider == "openai" else -1]

    def small(request: dict) -> Reply:
        if usual in request:
            return openai_error(f"Unrecognized request argument supplied: {usual}", None)
        if request.get(other, 10_000) > 4096:
            return openai_error(f"{other} is too large: {request.get(other)}. The maximum is 4096.", other)
        return ANSWER

    with ChatServer(small) as server:
        ask(client(server, provider, max_tokens=50_000))
    assert [request.get(usual) for request in server.requests] == [8192, None, None]
    assert [request.get(other) for request in server.requests] == [None, 8192, 4096]


def test_a_limit_that_no_model_keeps_ends_in_the_reason():
    refusal = openai_error("max_tokens is too large.", "max_tokens")
    with ChatServer(refusal) as server, pytest.raises(ServiceError, match="max_tokens is too large"):
        ask(client(server, max_tokens=50_000))
    assert all(request["max_tokens"] >= LEAST_ANSWER_TOKENS for request in server.requests)
    assert len(server.requests) < 8


def test_without_a_form_parameters_are_left_out_all_the_same():
    with ChatServer(failed(400, "temperature is not supported"), failed(400, "unknown field seed"), ANSWER) as server:
        ask(client(server), schema=None)
    assert [sorted({"temperature", "seed"} & request.keys()) for request in server.requests] == [
        ["seed", "temperature"],
        ["seed"],
        [],
    ]
