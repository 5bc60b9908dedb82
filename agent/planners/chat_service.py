"""A chat model behind a service: one request at a time, bounded, and every failure said in one line.

LangChain speaks to the service. Its own retries are off, so that one call here is one request there.
"""

from __future__ import annotations

import email.utils
import importlib
import json
import math
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pydantic import SecretStr

from agent.planners.chat_answer import BadAnswer
from instdiff.errors import BadInput, ServiceError

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434"
MAX_BODY_BYTES = 1_000_000
MAX_TOKENS = 8192
MAX_WAIT_S = 20.0
# how a layout is asked for, in this order; a service that refuses one is asked in the next way
WAYS = ("json_schema", "function_calling", "plain")
REFUSES_THE_FORM = (400, 422, 501)
CAN_PASS = (408, 409, 425, 429)
PLAIN_BODY = {"Accept-Encoding": "identity"}  # a compressed body can be a thousand times its size
CUT_OFF = "truncated: the answer was cut off before its end; plan fewer objects and use shorter captions"


class ServiceFailure(Exception):
    """A request failed. ``again`` says whether another one has a chance, ``wait_s`` how long to wait first (None: no matter)."""

    def __init__(self, reason: str, again: bool = False, wait_s: float | None = None):
        self.reason, self.again, self.wait_s = reason, again, wait_s
        super().__init__(reason)


class BodyTooLong(Exception):
    """A service's answer does not end in time or in size."""


class CompressedBody(Exception):
    """A service compresses its answer although it was asked not to; its true size cannot be bounded."""


class ChatService:
    """One chat model of one service.

    Args:
        provider: ``ollama``, or anything else for a service that speaks as OpenAI does.
        base_url: where it is; None for the provider's own place.
        api_key: sent to the service, and never shown, logged or put into an error.
    """

    def __init__(self, provider: str, model: str, base_url: str | None, api_key: SecretStr | None, temperature: float, timeout_s: float):
        self.provider, self.model, self.temperature, self.timeout_s = provider, model, temperature, timeout_s
        self.base_url = base_url or (OLLAMA_URL if provider == "ollama" else OPENAI_URL)
        self.api_key = api_key
        self.way = 0  # index into WAYS; what a service once refused is not tried again
        self.place = _place(self.base_url)

    def ask(self, messages: list[tuple[str, str]], schema: dict, seed: int) -> str:
        """One request, and the text of its answer.

        Args:
            messages: (role, text) with the roles "system", "human" and "ai".
            schema: the JSON schema that the answer should follow.
            seed: sent along, for services that can repeat themselves.

        Raises:
            ServiceFailure: the service gave no answer.
            BadAnswer: the answer was cut off.
        """
        model = self._model(seed)
        way = WAYS[self.way]
        try:
            if way == "plain":
                message = model.invoke(messages)
            else:
                message = model.with_structured_output(schema, method=way, include_raw=True).invoke(messages)["raw"]
        # whatever a service does ends here: beside errors of its own a client raises KeyError, TypeError and more on odd bodies
        except Exception as error:
            if _named(error, "LengthFinishReason"):
                raise BadAnswer(CUT_OFF) from error
            raise self._failure(error) from error
        return _answer_text(message)

    def _model(self, seed: int):
        """The LangChain model. The plain way sends the messages alone, which is what every service understands."""
        try:
            return self._ollama(seed) if self.provider == "ollama" else self._openai(seed)
        except ImportError as error:
            package = "langchain-ollama" if self.provider == "ollama" else "langchain-openai"
            raise ServiceError(f"{self.provider}:{self.model} needs the package {package}: pip install {package}") from error

    def _openai(self, seed: int):
        from langchain_openai import ChatOpenAI
        from openai import DefaultHttpxClient

        extras = {} if WAYS[self.way] == "plain" else {"temperature": self.temperature, "seed": seed, "max_tokens": MAX_TOKENS}
        client = DefaultHttpxClient(timeout=self.timeout_s, headers=PLAIN_BODY, event_hooks={"response": [self._bound]})
        return ChatOpenAI(
            model=self.model,
            base_url=self.base_url,
            api_key=self.api_key or SecretStr("none"),  # the client insists on one; servers without keys do not read it
            openai_proxy=None,  # proxies are the http client's, which reads the usual variables
            use_responses_api=False,
            max_retries=0,
            timeout=self.timeout_s,
            http_client=client,
            **extras,
        )

    def _ollama(self, seed: int):
        from langchain_ollama import ChatOllama

        extras = {} if WAYS[self.way] == "plain" else {"temperature": self.temperature, "seed": seed % 2**31}
        client = {"timeout": self.timeout_s, "headers": PLAIN_BODY, "event_hooks": {"response": [self._bound]}}
        return ChatOllama(model=self.model, base_url=self.base_url, num_predict=MAX_TOKENS, client_kwargs=client, **extras)

    def _bound(self, response) -> None:
        """Let a response's body end, by size and by time, whatever its sender does."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise CompressedBody
        response.stream = _bounded(response.stream, type(response), time.monotonic() + self.timeout_s)

    def _failure(self, error: Exception) -> ServiceFailure:
        """What went wrong, in one line without the key, and what can be done about it."""
        status, response = getattr(error, "status_code", None), getattr(error, "response", None)
        if isinstance(status, int) and status > 0:
            return self._refused(status, getattr(response, "headers", {}), self._said(error))
        for known, reason in (
            ("BodyTooLong", f"the answer of {self.place} does not end within {MAX_BODY_BYTES} bytes and {self.timeout_s:g} s"),
            ("CompressedBody", f"{self.place} sends compressed answers although it is asked for plain ones"),
            ("Timeout", f"timeout: no answer from {self.place} within {self.timeout_s:g} s"),
            ("ConnectError", f"cannot connect to {self.place}; is the server running there?"),
            ("ConnectionError", f"no connection to {self.place}; is the server running there?"),
        ):
            if _named(error, known):
                return ServiceFailure(reason, again=True)
        if _named(error, "ContentFilter"):
            return ServiceFailure("refusal: the service's content filter stopped the answer; say the scene in other words")
        return ServiceFailure(f"{self.place} answers with something that is no chat completion ({type(error).__name__})", again=True)

    def _refused(self, status: int, headers, said: str) -> ServiceFailure:
        """An HTTP status other than success."""
        if status in (401, 403):
            return ServiceFailure(f"{self.place} refused the key ({status}); check OPENAI_API_KEY")
        if status in REFUSES_THE_FORM and self.way + 1 < len(WAYS):
            self.way += 1
            return ServiceFailure(f"{self.place} refused the request ({status}): {said}", again=True, wait_s=0.0)
        if status == 429 and "insufficient_quota" in said:
            return ServiceFailure(f"the account at {self.place} has no quota left (429)")
        if status in CAN_PASS or status >= 500:
            wait_s = retry_after(headers.get("retry-after"))
            what = "is rate limited (429)" if status == 429 else f"failed ({status})"
            if wait_s is not None and wait_s > MAX_WAIT_S:
                return ServiceFailure(f"{self.place} {what} and asks to wait {wait_s:.0f} s; try again then")
            return ServiceFailure(f"{self.place} {what}", again=True, wait_s=wait_s)
        return ServiceFailure(f"{self.place} refused the request ({status}): {said}")

    def _said(self, error: Exception) -> str:
        """The service's own words, short and without the key."""
        text = " ".join(str(error).split())
        if self.api_key and self.api_key.get_secret_value():
            text = text.replace(self.api_key.get_secret_value(), "***")
        return text[:200]


def _answer_text(message) -> str:
    """The text of an answer: its tool call, or else its content.

    Raises:
        ServiceFailure: the model refused.
        BadAnswer: the answer was cut off.
    """
    if message.additional_kwargs.get("refusal"):
        raise ServiceFailure("refusal: the model refused to plan this scene; say it in other words")
    finish = message.response_metadata.get("finish_reason") or message.response_metadata.get("done_reason")
    if finish == "length":
        raise BadAnswer(CUT_OFF)
    if finish == "content_filter":
        raise ServiceFailure("refusal: the service's content filter stopped the answer; say the scene in other words")
    if message.tool_calls:
        return json.dumps(message.tool_calls[0]["args"])
    if message.invalid_tool_calls:
        return message.invalid_tool_calls[0]["args"] or ""
    return message.text if isinstance(message.text, str) else ""


def _bounded(stream, response_type: type, deadline: float):
    """The same stream, which raises `BodyTooLong` past ``deadline`` (monotonic seconds) or `MAX_BODY_BYTES`."""
    # the openai and ollama clients come with different httpx packages; each checks for its own base class
    base = importlib.import_module(response_type.__module__.partition(".")[0]).SyncByteStream

    class Bounded(base):
        def __iter__(self):
            total = 0
            for chunk in stream:
                total += len(chunk)
                if total > MAX_BODY_BYTES or time.monotonic() > deadline:
                    raise BodyTooLong
                yield chunk

        def close(self) -> None:
            stream.close()

    return Bounded()


def _named(error: BaseException | None, part: str) -> bool:
    """Whether the error, or one that caused it, has ``part`` in its class name (each client has classes of its own)."""
    for _ in range(10):
        if error is None:
            return False
        if part in type(error).__name__:
            return True
        error = error.__cause__ or error.__context__
    return False


def retry_after(value: str | None) -> float | None:
    """Seconds to wait according to a Retry-After header (seconds or a date), None if it says nothing usable."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # TypeError: a date without a time zone
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _place(url: str) -> str:
    """The address for messages: scheme, host and port, without a user, password or query that may be in it."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise BadInput("planner_url", f"this is no address ({error})") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("planner_url", "an address looks like http://127.0.0.1:8000/v1 or https://HOST/v1")
    return f"{parts.scheme}://{parts.hostname}{port}"
