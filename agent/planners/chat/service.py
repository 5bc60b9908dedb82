"""A chat model behind a service: one request at a time, bounded, and every failure said in one line.

LangChain speaks to the service. Its own retries are off, so that one call here is one request there.
"""

from __future__ import annotations

import json
import re
import time

from pydantic import SecretStr

from agent.planners.chat.answer import BadAnswer
from agent.planners.chat.http import MAX_BODY_BYTES, PLAIN_BODY, CompressedBody, bounded, place_of, retry_after
from agent.planners.chat.reply import CUT_OFF, Reply, ServiceFailure
from instdiff.errors import ServiceError

OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_URL = "http://127.0.0.1:11434"
MAX_WAIT_S = 20.0
# how an answer is asked for, in this order; a service that refuses one is asked in the next way
WAYS = ("json_schema", "function_calling", "plain")
REFUSES_THE_FORM = (400, 422, 501)
ABOUT_THE_FORM = re.compile(r"response_format|json_schema|tool_choice|\btools\b")  # llama_cpp.server says so with a 500
CAN_PASS = (408, 409, 425, 429)


class ChatService:
    """One chat model of one service.

    Args:
        provider: ``ollama``, or anything else for a service that speaks as OpenAI does.
        base_url: where it is; None for the provider's own place.
        api_key: sent to the service, and never shown, logged or put into an error.
        bind: send the limit of an answer in every way of asking, even to a service that may refuse to hear of it.
    """

    def __init__(
        self,
        provider: str,
        model: str,
        base_url: str | None,
        api_key: SecretStr | None,
        temperature: float,
        timeout_s: float,
        bind: bool = False,
    ):
        self.provider = provider
        self.model = model
        self.temperature = temperature
        self.timeout_s = timeout_s
        self.base_url = base_url or (OLLAMA_URL if provider == "ollama" else OPENAI_URL)
        self.api_key = api_key
        self.bind = bind
        self.way = 0  # index into WAYS; what a service once refused is not tried again
        self.place = place_of(self.base_url)

    @property
    def identity(self) -> list:
        """What tells this model from others, and holds no secret."""
        return [self.provider, self.model, place_of(self.base_url, path=True), self.temperature]

    def ask(self, messages: list[tuple[str, str]], schema: dict, seed: int, max_tokens: int) -> Reply:
        """One request, and its answer.

        Args:
            messages: (role, text) with the roles "system", "human" and "ai".
            schema: the JSON schema that the answer should follow.
            seed: sent along, for services that can repeat themselves.
            max_tokens: the answer's limit.

        Raises:
            ServiceFailure: the service gave no answer.
        """
        model = self._model(seed, max_tokens)
        way = WAYS[self.way]
        try:
            if way == "plain":
                message = model.invoke(messages)
            else:
                strict = {"strict": True} if way == "json_schema" and self.provider != "ollama" else {}
                message = model.with_structured_output(schema, method=way, include_raw=True, **strict).invoke(messages)[
                    "raw"
                ]
        # whatever a service does ends here: beside errors of its own a client raises KeyError, TypeError and more on
        # odd bodies
        except Exception as error:
            if _named(error, "LengthFinishReason"):
                usage = getattr(getattr(error, "completion", None), "usage", None)
                spent = (getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None))
                return Reply("", *spent, trouble=BadAnswer(CUT_OFF))
            raise self._failure(error) from error
        usage = message.usage_metadata or {}
        return Reply(
            self._hidden(_text(message)), usage.get("input_tokens"), usage.get("output_tokens"), _trouble(message)
        )

    def _model(self, seed: int, max_tokens: int):
        """The LangChain model. The plain way sends as little as it can, which is what every service understands."""
        try:
            return self._ollama(seed, max_tokens) if self.provider == "ollama" else self._openai(seed, max_tokens)
        except ImportError as error:
            package = "langchain-ollama" if self.provider == "ollama" else "langchain-openai"
            raise ServiceError(
                f"{self.provider}:{self.model} needs the package {package}: pip install {package}"
            ) from error

    def _openai(self, seed: int, max_tokens: int):
        from langchain_openai import ChatOpenAI
        from openai import DefaultHttpxClient

        plain = WAYS[self.way] == "plain"
        extras = {} if plain else {"temperature": self.temperature, "seed": seed}
        if self.bind or not plain:
            # OpenAI's newer models know the limit under a newer name alone, other servers often under the old one alone
            extras |= (
                {"max_tokens": max_tokens} if self.provider == "openai" else {"extra_body": {"max_tokens": max_tokens}}
            )
        hooks = {"response": [self._bound]}
        # a redirect would send the prompt to a place that nobody named
        client = DefaultHttpxClient(
            timeout=self.timeout_s, headers=PLAIN_BODY, event_hooks=hooks, follow_redirects=False
        )
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

    def _ollama(self, seed: int, max_tokens: int):
        from langchain_ollama import ChatOllama

        extras = {} if WAYS[self.way] == "plain" else {"temperature": self.temperature, "seed": seed % 2**31}
        client = {
            "timeout": self.timeout_s,
            "headers": PLAIN_BODY,
            "event_hooks": {"response": [self._bound]},
            "follow_redirects": False,
        }
        return ChatOllama(
            model=self.model, base_url=self.base_url, num_predict=max_tokens, client_kwargs=client, **extras
        )

    def _bound(self, response) -> None:
        """Let a response's body end, by size and by time, whatever its sender does."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise CompressedBody
        response.stream = bounded(response.stream, type(response), time.monotonic() + self.timeout_s)

    def _failure(self, error: Exception) -> ServiceFailure:
        """What went wrong, in one line without the key, and what can be done about it."""
        status = getattr(error, "status_code", None)
        response = getattr(error, "response", None)
        if isinstance(status, int) and status > 0:
            return self._refused(status, getattr(response, "headers", {}), self._said(error))
        for known, reason, worked in (
            (
                "BodyTooLong",
                f"the answer of {self.place} does not end within {MAX_BODY_BYTES} bytes and {self.timeout_s:g} s",
                True,
            ),
            ("CompressedBody", f"{self.place} sends compressed answers although it is asked for plain ones", True),
            ("ConnectTimeout", f"timeout: no connection to {self.place} within {self.timeout_s:g} s", False),
            ("Timeout", f"timeout: no answer from {self.place} within {self.timeout_s:g} s", True),
            ("ConnectError", f"cannot connect to {self.place}; is the server running there?", False),
            ("ConnectionError", f"no connection to {self.place}; is the server running there?", False),
        ):
            if _named(error, known):
                return ServiceFailure(reason, again=True, worked=worked)
        if _named(error, "ContentFilter"):
            return ServiceFailure(
                "refusal: the service's content filter stopped the answer; say the scene in other words", worked=True
            )
        reason = f"{self.place} answers with something that is no chat completion ({type(error).__name__})"
        return ServiceFailure(reason, again=True, worked=True)

    def _refused(self, status: int, headers, said: str) -> ServiceFailure:
        """An HTTP status other than success."""
        if status in (401, 403):
            return ServiceFailure(f"{self.place} refused the key ({status}); check OPENAI_API_KEY")
        refuses_the_form = status in REFUSES_THE_FORM or (status == 500 and ABOUT_THE_FORM.search(said))
        if refuses_the_form and self.way + 1 < len(WAYS):
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
        return self._hidden(" ".join(str(error).split()))[:200]

    def _hidden(self, text: str) -> str:
        """A service's text without the key, should it repeat it."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        return text.replace(key, "***") if len(key) > 5 else text


def _text(message) -> str:
    """The text of an answer: its tool call, or else its content."""
    if message.tool_calls:
        return json.dumps(message.tool_calls[0]["args"])
    if message.invalid_tool_calls:
        return message.invalid_tool_calls[0]["args"] or ""
    return message.text if isinstance(message.text, str) else ""


def _trouble(message) -> ServiceFailure | BadAnswer | None:
    """A refusal, or an answer that was cut off."""
    if message.additional_kwargs.get("refusal"):
        return ServiceFailure("refusal: the model refused to plan this scene; say it in other words")
    finish = message.response_metadata.get("finish_reason") or message.response_metadata.get("done_reason")
    if finish == "length":
        return BadAnswer(CUT_OFF)
    if finish == "content_filter":
        return ServiceFailure("refusal: the service's content filter stopped the answer; say the scene in other words")
    return None


def _named(error: BaseException | None, part: str) -> bool:
    """Whether the error, or one that caused it, has ``part`` in its class name (each client has classes of its own)."""
    for _ in range(10):
        if error is None:
            return False
        if part in type(error).__name__:
            return True
        error = error.__cause__ or error.__context__
    return False
