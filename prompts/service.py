"""One request to a chat model of a service: ways of asking, bounded bodies, hidden keys, every failure in one line.

LangChain speaks to the services. Its own retries are off, so that one call here is one request there.
"""

from __future__ import annotations

import email.utils
import importlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from instdiff.errors import BadInput, ServiceError
from prompts.budget import LEAST_ANSWER_TOKENS
from prompts.client import REFUSAL, Message, Reply, RequestError, estimated_tokens
from prompts.terms import Refusal, Terms

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434"
MAX_WAIT_S = 20.0
MAX_REASON_CHARS = 2_000
MAX_BODY_BYTES = 1_000_000
PLAIN_BODY = {"Accept-Encoding": "identity"}  # a compressed body can be a thousand times its size
CONTEXT_STEP = 4096  # tokens; few sizes, because Ollama loads a model anew for each
ANSWER_TOKENS = 4096  # that a fitted context has room for: 30 things take 1,700, the rest is for thought
USUAL_SHARE = 0.8  # of the estimate of a prompt's tokens is what it really takes, measured with Llama 3's tokenizer
CAN_PASS = (408, 409, 425, 429)
Asker = Literal["planner", "verifier"]
KEYS: dict[Asker, str] = {"planner": "OPENAI_API_KEY", "verifier": "INSTDIFF_VERIFIER_KEY or OPENAI_API_KEY"}


class BodyTooLongError(Exception):
    """A service's answer does not end in time or in size."""


class CompressedBodyError(Exception):
    """A service compresses its answer although it was asked not to; its true size cannot be bounded."""


class _Settings(NamedTuple):
    """What is sent with the messages; None is not."""

    temperature: float | None
    seed: int | None
    max_tokens: int | None
    num_ctx: int | None
    with_newer_name: bool


@dataclass(eq=False, repr=False)
class ChatService:
    """One chat model of one service. Threads may share it.

    Args:
        provider: ``ollama``, or anything else for a service that speaks as OpenAI does.
        base_url: where it is; None for the provider's own place.
        api_key: sent to the service, and never shown, logged or put into an error.
        always_limit: send the limit of an answer in every way of asking, even to a service that may refuse it.
        asker: whose option names the address, and whose key it is.
        num_ctx: the tokens of context that Ollama gives the model; None for as many as each request needs.

    ``terms`` begin with all that can be asked for; what the service once refused is left out of them from then on.
    """

    provider: str
    model: str
    base_url: str | None
    api_key: SecretStr | None
    temperature: float
    timeout_s: float
    always_limit: bool = False
    asker: Asker = "planner"
    num_ctx: int | None = None
    terms: Terms = field(default=Terms(), init=False)
    _fitted: int = field(default=0, init=False)  # the largest context so far: a smaller one would load the model anew

    def __post_init__(self):
        self.url = self.base_url or (OLLAMA_URL if self.provider == "ollama" else OPENAI_URL)
        self.place = place_of(self.url, self.asker)

    @property
    def identity(self) -> list:
        """What distinguishes this model from others, as JSON without secrets."""
        path = urlsplit(self.url).path.rstrip("/")
        return [self.provider, self.model, self.place + path, self.temperature]

    def send(self, messages: Sequence[Message], schema: dict | None, seed: int | None, max_tokens: int) -> Reply:
        """The reply to one request, of at most so many tokens.

        Raises:
            RequestError: the service gave no answer.
            ServiceError: a package is missing.
        """
        terms = self.terms
        sent = self._settings(terms, estimated_tokens(messages, schema), seed, max_tokens, schema is not None)
        model = self._chat_model(sent)
        content = [(message.role, message.content) for message in messages]
        try:
            if schema is None or terms.way == "plain":
                return self._reply(model.invoke(content), terms.way if schema else "", sent.num_ctx)
            strict = {"strict": True} if terms.way == "json_schema" and self.provider != "ollama" else {}
            structured = model.with_structured_output(schema, method=terms.way, include_raw=True, **strict)
            return self._reply(structured.invoke(content)["raw"], terms.way, sent.num_ctx)
        # whatever a service does ends here: on odd bodies a client raises KeyError, TypeError and more of its own
        except Exception as error:
            if _is_named(error, "LengthFinishReason"):
                usage = getattr(getattr(error, "completion", None), "usage", None)
                tokens = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
                return Reply("", tokens[0], tokens[1], is_cut_off=True)
            limit = max_tokens // terms.limit_divisor
            raise self._failure(error, terms, schema is not None, limit) from error

    def ask_otherwise(self, way: str) -> bool:
        """Leave a way of asking that brought an empty answer for the next one; False if there is none."""
        if not way or way == "plain":
            return False
        if self.terms.way == way:  # else another thread has left it
            self.terms = self.terms.after_empty() or self.terms
        return True

    def _settings(
        self, terms: Terms, prompt_tokens: int, seed: int | None, max_tokens: int, with_schema: bool
    ) -> _Settings:
        """What is sent with a prompt of this estimated length on these terms."""
        is_plain = with_schema and terms.way == "plain"
        limit: int | None = max_tokens // terms.limit_divisor
        num_ctx = None
        if self.provider == "ollama":
            num_ctx, limit = self._context(prompt_tokens, max_tokens)
        elif terms.limit == "none" or (is_plain and not self.always_limit):
            limit = None
        return _Settings(
            self.temperature if terms.with_temperature and not is_plain else None,
            seed if terms.with_seed and not is_plain else None,
            limit,
            num_ctx,
            # OpenAI's newer models know the limit under a newer name alone, other servers often under the old one alone
            with_newer_name=(self.provider == "openai") is (terms.limit != "other"),
        )

    def _context(self, prompt_tokens: int, max_tokens: int) -> tuple[int, int]:
        """(num_ctx, num_predict) for a prompt of this estimated length.

        Ollama forgets the beginning of what does not fit, without a word.

        Raises:
            RequestError: the context that is set has no room for the question and an answer.
        """
        if self.num_ctx is None:
            needed = prompt_tokens + min(max_tokens, ANSWER_TOKENS)
            self._fitted = max(self._fitted, -(-needed // CONTEXT_STEP) * CONTEXT_STEP)
        num_ctx = self.num_ctx or self._fitted
        room = num_ctx - int(USUAL_SHARE * prompt_tokens)
        if room < LEAST_ANSWER_TOKENS:
            takes = f"the question takes about {num_ctx - room} and an answer at least {LEAST_ANSWER_TOKENS}"
            raise RequestError(f"a context of {num_ctx} tokens is too small: {takes}; raise --num-ctx")
        return num_ctx, min(max_tokens, room)

    def _chat_model(self, sent: _Settings) -> BaseChatModel:
        """The LangChain model that sends these settings."""
        try:
            return self._ollama(sent) if self.provider == "ollama" else self._openai(sent)
        except ImportError as error:
            package = "langchain-ollama" if self.provider == "ollama" else "langchain-openai"
            name = f"{self.provider}:{self.model}"
            raise ServiceError(f"{name} needs the package {package}: pip install {package}") from error

    def _openai(self, sent: _Settings) -> BaseChatModel:
        from openai import DefaultHttpxClient

        from prompts.openai_chat import OpenAIChat

        old_limit = {} if sent.with_newer_name or sent.max_tokens is None else {"max_tokens": sent.max_tokens}
        return OpenAIChat(
            model=self.model,
            base_url=self.url,
            api_key=self.api_key or SecretStr("none"),  # the client insists on one; servers without keys do not read it
            openai_proxy=None,  # proxies are the http client's, which reads the usual variables
            use_responses_api=False,
            max_retries=0,
            timeout=self.timeout_s,
            http_client=DefaultHttpxClient(timeout=self.timeout_s, **self._http_options()),
            temperature=sent.temperature,
            seed=sent.seed,
            max_tokens=sent.max_tokens if sent.with_newer_name else None,
            extra_body=old_limit or None,
        )

    def _ollama(self, sent: _Settings) -> BaseChatModel:
        from prompts.ollama_chat import OllamaChat

        return OllamaChat(
            model=self.model,
            base_url=self.url,
            temperature=sent.temperature,
            seed=None if sent.seed is None else sent.seed % 2**31,
            num_predict=sent.max_tokens,
            num_ctx=sent.num_ctx,
            client_kwargs={"timeout": self.timeout_s, **self._http_options()},
        )

    def _http_options(self) -> dict[str, Any]:
        # a redirect would send the question to a place that nobody named
        return {"headers": PLAIN_BODY, "event_hooks": {"response": [self._bound]}, "follow_redirects": False}

    def _bound(self, response) -> None:
        """Let a response's body end, by size and by time, whatever its sender does."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise CompressedBodyError
        response.stream = _bounded(response.stream, type(response), time.monotonic() + self.timeout_s)

    def _reply(self, message: AIMessage, way: str, context_tokens: int | None) -> Reply:
        """What a message says: its tool call, or else its content; and what was thought first."""
        call = next((call["args"] for call in message.tool_calls if call["args"]), None)
        if call:
            text = json.dumps(call)
        elif message.invalid_tool_calls:
            text = message.invalid_tool_calls[0]["args"] or ""
        else:
            text = str(message.text)
        usage = message.usage_metadata or {}
        about = message.response_metadata
        finish = about.get("finish_reason") or about.get("done_reason")
        is_stopped = self.provider == "ollama" and not about.get("done")  # its last line never came
        return Reply(
            self._without_key(text),
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            is_cut_off=finish == "length" or is_stopped,
            is_refusal=finish == "content_filter" or bool(message.additional_kwargs.get("refusal")),
            thought=self._without_key(message.additional_kwargs.get("reasoning_content", "")),
            way=way,
            context_tokens=context_tokens,
        )

    def _failure(self, error: Exception, terms: Terms, with_schema: bool, limit: int) -> RequestError:
        """What went wrong, in one line without the key, and what can be done about it."""
        status = getattr(error, "status_code", None)
        if isinstance(status, int) and status > 0:
            headers = getattr(getattr(error, "response", None), "headers", {})
            reason = self._without_key(" ".join(str(error).split()))
            refusal = Refusal(status, reason[:MAX_REASON_CHARS], _parameter_of(error))
            weaker = terms.weaker(refusal, with_schema, self.always_limit, limit)
            return self._refusal(status, headers, reason[:200], weaker)
        within = f"within {self.timeout_s:g} s"
        for class_name, reason, can_pass, worked in (
            ("BodyTooLong", f"the answer does not end {within} and {MAX_BODY_BYTES} bytes", True, True),
            ("CompressedBody", "the service sends compressed answers although it is asked for plain ones", False, True),
            ("ContentFilter", REFUSAL, False, True),
            ("ConnectTimeout", f"timeout: no connection {within}", True, False),
            ("Timeout", f"timeout: no answer {within}", True, True),
            ("Connect", f"no connection to {self.place}; is the server running there?", True, False),
        ):
            if _is_named(error, class_name):
                return RequestError(reason, can_pass, worked=worked)
        reason = f"the service answers with something that is no chat completion ({type(error).__name__})"
        return RequestError(reason, can_pass=True, worked=True)

    def _refusal(self, status: int, headers: Mapping[str, str], reason: str, weaker: Terms | None) -> RequestError:
        """An HTTP status other than success; with weaker terms the service is asked again at once."""
        if weaker:
            self.terms = weaker
            return RequestError(
                f"the service refused the request ({status}): {reason}", can_pass=True, wait_s=0.0, is_free=True
            )
        if status in (401, 403):
            return RequestError(f"the service refused the key ({status}); check {KEYS[self.asker]}")
        if status == 429 and "insufficient_quota" in reason:
            return RequestError("the account has no quota left (429)")
        if status in CAN_PASS or status >= 500:
            wait_s = retry_after(headers.get("retry-after"))
            state = "is rate limited (429)" if status == 429 else f"failed ({status})"
            if wait_s is not None and wait_s > MAX_WAIT_S:
                return RequestError(f"the service {state} and asks to wait {wait_s:.0f} s; try again then")
            return RequestError(f"the service {state}", can_pass=True, wait_s=wait_s)
        return RequestError(f"the service refused the request ({status}): {reason}")

    def _without_key(self, text: str) -> str:
        """A service's text without the key, should it repeat it."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        return text.replace(key, "***") if len(key) > 5 else text


def _parameter_of(error: Exception) -> str:
    """What an error's body says was refused: OpenAI's ``param``, or FastAPI's places; empty if it names nothing."""
    body = getattr(error, "body", None)
    if not isinstance(body, dict):
        return ""
    if isinstance(body.get("param"), str):
        return body["param"]
    details = body.get("detail")
    places = [item.get("loc") for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    return " ".join(str(part) for place in places if isinstance(place, list) for part in place)[:MAX_REASON_CHARS]


def place_of(url: str, asker: Asker = "planner") -> str:
    """The address for messages: scheme, host and port.

    Raises:
        BadInput: it is no address, or holds a secret, which HTTP clients would write into their logs.
    """
    field = f"{asker}_url"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise BadInput(field, f"this is no address ({error})") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(field, "an address looks like http://127.0.0.1:8000/v1 or https://HOST/v1")
    place = f"{parts.scheme}://{parts.hostname}{port}"
    if parts.username or parts.password or parts.query:
        secret = f"the address at {place} holds a user name, password or query"
        raise BadInput(field, f"{secret}; leave it out and set {KEYS[asker]}")
    return place


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


def _bounded(stream, response_type: type, deadline: float):
    """The same stream, which raises `BodyTooLongError` past ``deadline`` (monotonic seconds) or `MAX_BODY_BYTES`."""
    # the openai and ollama clients come with different httpx packages; each checks for its own base class
    base: Any = importlib.import_module(response_type.__module__.partition(".")[0]).SyncByteStream

    class Bounded(base):
        def __iter__(self) -> Iterator[bytes]:
            total = 0
            for chunk in stream:
                total += len(chunk)
                if total > MAX_BODY_BYTES or time.monotonic() > deadline:
                    raise BodyTooLongError
                yield chunk

        def close(self) -> None:
            stream.close()

    return Bounded()


def _is_named(error: BaseException | None, part: str) -> bool:
    """Whether the error, or one that caused it, has ``part`` in its class name (each client has classes of its own)."""
    for _ in range(10):
        if error is None:
            return False
        if part in type(error).__name__:
            return True
        error = error.__cause__ or error.__context__
    return False
