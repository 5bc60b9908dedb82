"""One question to a service: what is said of its answers, and what is heard in its headers."""

import pytest
from PIL import Image
from pydantic import SecretStr

from instdiff.errors import BadInput, ServiceError
from prompts.budget import Budget
from prompts.client import TOKENS_A_PICTURE, AnswerError, Message, ModelClient, Question, Reply, estimated_tokens
from prompts.service import ChatService, Terms, place_of, retry_after
from tests.agent.openai_server import ChatServer, failed, said

KEY = "sk-secret-0123456789"
SCHEMA = {"title": "Number", "type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("prompts.client.FIRST_PAUSE_S", 0.01)


def client(server: ChatServer, **options) -> ModelClient:
    service = ChatService("chat", "m", server.url, SecretStr(KEY), 0.2, timeout_s=5)
    return ModelClient("chat:m", service, Budget("chat:m"), **options)


def question(read=lambda reply: reply.text, **changes) -> Question:
    return Question((Message("human", "Which number?"),), "number", read, **changes)


def refuse(reply: Reply) -> str:
    raise AnswerError(f"it says {reply.text}")


def test_the_last_failure_is_what_is_raised():
    with ChatServer(said(1), failed(500)) as server, pytest.raises(ServiceError) as caught:
        client(server).ask(question(refuse))
    assert str(caught.value) == f"chat:m: the service failed (500) (after 3 requests to {server.host})"
    assert not isinstance(caught.value, AnswerError) and caught.value.__context__ is None
    with ChatServer(failed(500), said(1)) as server, pytest.raises(AnswerError) as caught:
        client(server).ask(question(refuse))
    assert str(caught.value) == f"chat:m: the answer is no usable number: it says 1 (after 3 requests to {server.host})"


@pytest.mark.parametrize("complaint", [None, lambda reason: f"No: {reason}."])
def test_an_unusable_answer_is_asked_for_again(complaint):
    with ChatServer(said(1)) as server, pytest.raises(AnswerError):
        client(server, max_attempts=2).ask(question(refuse, complaint=complaint))
    first, second = ([message["content"] for message in request["messages"]] for request in server.requests)
    assert second == (first if complaint is None else [*first, "1", "No: it says 1."])


def test_terms_that_were_refused_once_are_not_asked_for_again():
    replies = [failed(400, "temperature is not supported"), failed(400, "no json_schema"), said({"number": 1})]
    with ChatServer(*replies) as server:
        asker = client(server)
        for _ in range(2):
            asker.ask(question(schema=SCHEMA))
        assert asker.model.terms == Terms("function_calling", with_temperature=False)
    assert ["temperature" in request for request in server.requests] == [True, False, False, False]
    assert ["tools" in request for request in server.requests] == [False, False, True, True]


def test_a_question_without_a_schema_has_no_weaker_way():
    with (
        ChatServer(failed(400, "no pictures please")) as server,
        pytest.raises(ServiceError, match="refused the request"),
    ):
        client(server).ask(question())
    assert len(server.requests) == 1 and server.requests[0]["max_tokens"] == 8192


def test_the_estimate_is_above_the_truth():
    """Texts whose number of tokens is known from above: English words, numbers, Chinese characters."""
    assert estimated_tokens([Message("system", "word " * 300)], None) > 300
    assert estimated_tokens([Message("system", "12 " * 300)], None) >= 300
    assert estimated_tokens([Message("human", "漢" * 300)], None) >= 900
    assert estimated_tokens([], {"properties": {"text": {"description": "word " * 100}}}) > 100
    assert estimated_tokens([Message("human", "", Image.new("RGB", (8, 8)))], None) >= TOKENS_A_PICTURE


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("-4", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("soon", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after(header) == seconds


@pytest.mark.parametrize("asker", ["planner", "verifier"])
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ftp://x/v1", "an address looks like http://127.0.0.1:8000/v1"),
        ("http://x:99999", "this is no address"),
        ("http://user:hush@x/v1", "the address at http://x holds a user name, password or query"),
        ("http://x/v1?token=hush", "leave it out and set"),
    ],
)
def test_addresses_that_are_refused(address, reason, asker):
    with pytest.raises(BadInput, match=reason) as caught:
        place_of(address, asker)
    assert caught.value.field == f"{asker}_url" and "hush" not in str(caught.value)
