"""The one client of language and vision models: text and pictures, limits, retries until an answer is usable."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar, cast

from tenacity import RetryCallState, Retrying, retry_if_exception

from instdiff.errors import ServiceError
from prompts.budget import Budget, BudgetExceededError
from prompts.cache import AnswerCache
from prompts.thoughts import without_thoughts
from prompts.usage import Usage

if TYPE_CHECKING:
    from PIL.Image import Image

FIRST_PAUSE_S = 0.5  # before the second request where the service names no time; doubled each time
MAX_ATTEMPTS = 3
CHARS_A_TOKEN = 3.0  # English has four and more: the estimate is meant to be too high
TOKENS_A_PICTURE = 1_500  # 1008 x 1008 pixels, at 28 x 28 a token
REFUSAL = "refusal: the model, or its service's filter, refuses to answer; ask for it in other words"
Result = TypeVar("Result")


class RequestError(ServiceError):
    """A request got no answer.

    Args:
        reason: one line, without the key.
        can_pass: whether another request has a chance.
        wait_s: how long to wait first; None if the service names no time.
        worked: whether the model may have worked on it, and been paid for it, all the same.
        is_free: whether the next request is on other terms, and this one is none of the `ModelClient.max_attempts`.
    """

    def __init__(
        self,
        reason: str,
        can_pass: bool = False,
        wait_s: float | None = None,
        worked: bool = False,
        is_free: bool = False,
    ):
        self.can_pass = can_pass
        self.wait_s = wait_s
        self.worked = worked
        self.is_free = is_free
        super().__init__(reason)


class AnswerError(ServiceError):
    """An answer is not what was asked for; the message is one line that the model can act on.

    Args:
        usable: what can be made of it all the same, if the model gives nothing better.
    """

    def __init__(self, reason: str, usable: object = None):
        self.usable = usable
        super().__init__(reason)


@dataclass(frozen=True)
class Message:
    """What one side says, with at most one picture."""

    role: Literal["system", "human", "ai"]
    text: str
    picture: Image | None = None

    @cached_property
    def content(self) -> str | list[dict]:
        """The text, or the parts of a message with a picture, which goes as PNG."""
        if self.picture is None:
            return self.text
        buffer = io.BytesIO()
        self.picture.save(buffer, format="PNG")
        url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        return [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": self.text}]


@dataclass(frozen=True)
class Reply:
    """One answer, and the tokens that it took; None where the service does not say.

    Args:
        thought: what the model thought before, where the service tells it apart.
        way: in which it was asked for, in the words of the `Model`.
        context_tokens: what the question and the answer had room in, where that was set.
    """

    text: str = ""
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    is_cut_off: bool = False
    is_refusal: bool = False
    thought: str = ""
    way: str = ""
    context_tokens: int | None = None


@dataclass(frozen=True)
class Question(Generic[Result]):
    """What is asked for.

    Args:
        wanted: what the answer should be, in a word or two, for errors.
        read: makes the result of a reply, or raises `AnswerError`.
        schema: the JSON schema that the answer should follow, if it should follow one.
        seed: sent along, for services that can repeat themselves.
        complaint: what is said of an unusable answer, from the error's message; None asks the same again.
        reads_thoughts: whether a thought is read where nothing else is said. Some servers take all for a thought.
    """

    messages: tuple[Message, ...]
    wanted: str
    read: Callable[[Reply], Result]
    schema: dict | None = None
    seed: int | None = None
    complaint: Callable[[str], str] | None = None
    reads_thoughts: bool = False


class Model(Protocol):
    """A language model, wherever it runs; ``place`` is where, for messages."""

    place: str

    @property
    def identity(self) -> list:
        """What distinguishes this model from others, as JSON without secrets."""
        ...

    def send(self, messages: Sequence[Message], schema: dict | None, seed: int | None, max_tokens: int) -> Reply:
        """The reply to one request, of at most so many tokens; raises `RequestError`."""
        ...

    def ask_otherwise(self, way: str) -> bool:
        """Ask in another way from now on, because this one brought an empty answer; False if there is no other."""
        ...


@dataclass(eq=False)
class ModelClient:
    """Asks a model until there is a usable answer, within limits. Threads may share it.

    Args:
        name: begins every error.
        budget: looked at before each request.
        max_attempts: requests for one answer, without those on terms that the service refuses or answers nothing to.
        cache: earlier answers; None asks anew each time.

    ``usage`` is what all questions took so far; whoever goes on with a run sets what it took before.
    """

    name: str
    model: Model
    budget: Budget
    max_attempts: int = MAX_ATTEMPTS
    cache: AnswerCache | None = None
    usage: Usage = field(default=Usage(), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def ask(self, question: Question[Result]) -> Result:
        """What ``question.read`` makes of a cached answer, or of the model's.

        Raises:
            BudgetExceededError: the first request does not fit into the budget.
            AnswerError: no answer was usable.
            ServiceError: the service fails.
        """
        if not self.cache:
            return self._ask_until_usable(question)[1]
        content = [(message.role, message.content) for message in question.messages]
        key = [*self.model.identity, content, question.schema, question.seed]
        answer = self.cache.get(key)
        if answer is not None:
            try:
                return question.read(Reply(answer))
            except AnswerError:
                pass  # damaged, or kept by another version of this program
        answer, result = self._ask_until_usable(question)
        self.cache.put(key, answer)
        return result

    def _ask_until_usable(self, question: Question[Result]) -> tuple[str, Result]:
        """The text of an answer, and what it comes to."""
        messages = question.messages
        failures: list[RequestError | AnswerError] = []
        usable: list[tuple[str, Result]] = []

        def attempt() -> tuple[str, Result]:
            nonlocal messages
            reply = Reply()
            try:
                reply = self._request(messages, question)
                return self._read(reply, question)
            except (RequestError, AnswerError) as error:
                failures.append(error)
                if isinstance(error, AnswerError) and error.usable is not None:
                    usable.append((reply.text, cast(Result, error.usable)))
                if isinstance(error, AnswerError) and question.complaint:
                    answer = Message("ai", without_thoughts(reply.text).strip()[:4000] or "{}")
                    messages = (*question.messages, answer, Message("human", question.complaint(str(error))))
                raise

        attempts = Retrying(
            stop=lambda _: sum(not _is_free(failure) for failure in failures) >= self.max_attempts,
            retry=retry_if_exception(_can_pass),
            wait=_pause_s,
            reraise=True,
        )
        reason = ""
        try:
            return attempts(attempt)
        except (RequestError, AnswerError):
            pass
        except BudgetExceededError as error:
            if not failures:
                raise
            reason = f"; {error}"
        if usable:
            return usable[-1]
        # raised out here so that no client's error, which may quote a request, hangs on to it
        raise self._failure(failures, question.wanted, reason)

    def _failure(self, failures: list[RequestError | AnswerError], wanted: str, reason: str) -> ServiceError:
        """The last failure of several requests; ``reason`` says why there are no more of them."""
        last = failures[-1]
        is_unusable = isinstance(last, AnswerError)
        reason = f"the answer is no usable {wanted}: {last}{reason}" if is_unusable else f"{last}{reason}"
        count = f"(after {len(failures)} request{'s' * (len(failures) > 1)} to {self.model.place})"
        return (AnswerError if is_unusable else ServiceError)(f"{self.name}: {reason} {count}")

    def _read(self, reply: Reply, question: Question[Result]) -> tuple[str, Result]:
        """The text that is usable, and what it comes to; an answer without text is asked for in another way."""
        if without_thoughts(reply.text).strip() or reply.is_cut_off:
            return reply.text, question.read(reply)
        if question.reads_thoughts and reply.thought.strip():
            try:
                return reply.thought, question.read(replace(reply, text=reply.thought))
            except AnswerError:
                pass  # it only thought
        if self.model.ask_otherwise(reply.way):
            raise RequestError("the answer is empty", can_pass=True, wait_s=0.0, is_free=True)
        return reply.text, question.read(reply)

    def _request(self, messages: Sequence[Message], question: Question) -> Reply:
        """The reply to one request, if there is room for it; what it takes is counted, whatever becomes of it."""
        prompt_tokens = estimated_tokens(messages, question.schema)
        room = self.budget.answer_room(self.usage, prompt_tokens)
        at_most = self.budget.usage_of(prompt_tokens, room, estimated=True)
        try:
            reply = self.model.send(messages, question.schema, question.seed, room)
        except RequestError as error:
            self._count(at_most if error.worked else self.budget.usage_of(0, 0))
            raise
        if reply.prompt_tokens is None or reply.answer_tokens is None:
            self._count(at_most)
        else:
            self._count(self.budget.usage_of(reply.prompt_tokens, reply.answer_tokens))
        if reply.is_refusal:
            raise RequestError(REFUSAL)
        return reply

    def _count(self, usage: Usage) -> None:
        with self._lock:
            self.usage += usage


def estimated_tokens(messages: Sequence[Message], schema: dict | None) -> int:
    """A number of prompt tokens that these messages hardly exceed."""
    texts = [message.text for message in messages] + ([json.dumps(schema)] if schema else [])
    # what is not ASCII can take a token a byte
    weight = sum(len(text.encode()) if not text.isascii() else len(text) / CHARS_A_TOKEN for text in texts)
    pictures = sum(message.picture is not None for message in messages)
    return int(weight) + 10 * len(messages) + TOKENS_A_PICTURE * pictures


def _is_free(error: RequestError | AnswerError) -> bool:
    return isinstance(error, RequestError) and error.is_free


def _can_pass(error: BaseException) -> bool:
    return isinstance(error, AnswerError) or (isinstance(error, RequestError) and error.can_pass)


def _pause_s(state: RetryCallState) -> float:
    """Seconds before the next request: none after an unusable answer, else what the service asks for."""
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, RequestError):
        return 0.0
    return FIRST_PAUSE_S * 2 ** (state.attempt_number - 1) if error.wait_s is None else error.wait_s
