"""One question about one picture to an OpenAI-compatible endpoint: bounded in time, size and number, failures in one
line.
"""

from __future__ import annotations

import base64
import importlib
import io
import json
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from evaluators.detectors.dialects import MAX_ANSWER_CHARS
from instdiff.errors import BadInput, ServiceError

if TYPE_CHECKING:
    from PIL.Image import Image

OPENAI_URL = "https://api.openai.com/v1"
MAX_BODY_BYTES = 1_000_000
MAX_TOKENS = 4_096
MAX_WAIT_S = 20.0
CAN_PASS = (408, 409, 425, 429)


class _Again(Exception):
    """A failure that another request may not have; ``wait_s`` is how long the service asks to wait, if it does."""

    def __init__(self, reason: str, wait_s: float | None = None):
        self.reason = reason
        self.wait_s = wait_s
        super().__init__(reason)


class VisionClient:
    """Asks one model of one service about pictures. Threads may share it.

    Args:
        model: as the service calls it.
        url: where the service is; None for OpenAI's own.
        key: sent to the service, and never shown.
        timeout_s: of one request, answer included.
        max_attempts: how many requests a question may take.
        pause_s: the wait before the second request, doubled for each further one, where the service names no time.
        answer_format: the ``response_format`` that is asked for; left out where the service refuses it.
    """

    def __init__(
        self,
        model: str,
        url: str | None,
        key: str | None,
        timeout_s: float = 120.0,
        max_attempts: int = 3,
        pause_s: float = 1.0,
        answer_format: dict | None = None,
    ):
        self.model = model
        self.url = url or OPENAI_URL
        self.key = key
        self.timeout_s = timeout_s
        self.max_attempts = max_attempts
        self.pause_s = pause_s
        self.place = place_of(self.url)
        self.sampling = {"temperature": 0}
        self.answer_format = {"response_format": answer_format} if answer_format else {}

    def ask(self, image: Image, question: str, read):
        """What ``read`` makes of the answer; an answer that it refuses with `ServiceError` is asked for again.

        Raises:
            ServiceError: no answer that can be read came within the attempts.
        """
        messages = [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": _data_url(image)}}, _text(question)],
            }
        ]
        reason = ""
        for attempt in range(self.max_attempts):
            try:
                return read(self._answer(messages))
            except (_Again, ServiceError) as error:
                reason = getattr(error, "reason", str(error))
                wait_s = getattr(error, "wait_s", None)
                if isinstance(error, _Final):
                    break
            if attempt + 1 < self.max_attempts:
                time.sleep(self.pause_s * 2**attempt if wait_s is None else wait_s)
        # raised out here so that no client's error, which may quote the key, hangs on to it
        raise ServiceError(f"{self._who}: {reason}")

    @property
    def _who(self) -> str:
        return f"verifier vlm:{self.model} at {self.place}"

    def _answer(self, messages: list[dict]) -> str:
        """The text of one answer."""
        import openai

        # a redirect would send the picture to a place that nobody named
        http = openai.DefaultHttpxClient(timeout=self.timeout_s, follow_redirects=False)
        client = openai.OpenAI(
            base_url=self.url, api_key=self.key or "none", timeout=self.timeout_s, max_retries=0, http_client=http
        )
        plain = {"Accept-Encoding": "identity"}  # a compressed body can be a thousand times its size
        body = {"model": self.model, "messages": messages, **self.sampling, **self.answer_format}
        body |= {"max_completion_tokens" if self.url == OPENAI_URL else "max_tokens": MAX_TOKENS}
        try:
            with (
                client,
                client.chat.completions.with_streaming_response.create(**body, extra_headers=plain) as response,
            ):
                return self._hidden(_content(self._body(response)))
        except openai.APIStatusError as error:
            raise self._refused(error) from error
        except openai.APITimeoutError as error:
            raise _Again(f"timeout: no answer within {self.timeout_s:g} s") from error
        except openai.APIConnectionError as error:
            raise _Again("no connection; is the server running there?") from error

    def _body(self, response) -> bytes:
        """The body, which has to end in time and in size, whatever its sender does."""
        httpx = importlib.import_module(
            type(response.http_response).__module__.partition(".")[0]
        )  # the client's own; there are several
        body = b""
        deadline = time.monotonic() + self.timeout_s
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _Final("it sends compressed answers although it is asked for plain ones")
        try:
            for chunk in response.iter_bytes():  # as they come: a fixed size would wait for it
                body += chunk
                if len(body) > MAX_BODY_BYTES or time.monotonic() > deadline:
                    raise _Again(f"the answer does not end within {MAX_BODY_BYTES} bytes and {self.timeout_s:g} s")
        except httpx.TimeoutException as error:
            raise _Again(f"timeout: no answer within {self.timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise _Again("the connection broke off before the answer ended") from error
        return body

    def _refused(self, error) -> Exception:
        """An HTTP status other than success."""
        status = error.status_code
        said = self._said(error)
        if status in (401, 403):
            return _Final(f"it refused the key ({status}); check INSTDIFF_VERIFIER_KEY or OPENAI_API_KEY")
        if status == 429 and "insufficient_quota" in said:
            return _Final("the account has no quota left (429)")
        if status == 400 and self.sampling and "temperature" in said:  # models that reason take none
            self.sampling = {}
            return _Again(f"it refused the request ({status}): {said}", wait_s=0.0)
        if status in (400, 422) and self.answer_format and re.search("response_format|json_schema", said):
            self.answer_format = {}
            return _Again(f"it refused the request ({status}): {said}", wait_s=0.0)
        if status in CAN_PASS or status >= 500:
            wait_s = _seconds(error.response.headers.get("retry-after"))
            what = "is rate limited (429)" if status == 429 else f"failed ({status})"
            if wait_s is not None and wait_s > MAX_WAIT_S:
                return _Final(f"it {what} and asks to wait {wait_s:.0f} s; try again then")
            return _Again(f"it {what}", wait_s)
        return _Final(f"it refused the request ({status}): {said}")

    def _said(self, error) -> str:
        """The service's own words, short and without the key."""
        return self._hidden(" ".join(str(error).split()))[:200]

    def _hidden(self, text: str) -> str:
        """A service's text without the key, should it repeat it."""
        return text.replace(self.key, "***") if self.key and len(self.key) > 5 else text


class _Final(ServiceError):
    """A failure that another request would have too."""


def place_of(url: str) -> str:
    """The address for messages: scheme, host and port.

    Raises:
        BadInput: it is no address, or holds a secret, which HTTP clients would write into their logs.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise BadInput("verifier_url", f"this is no address ({error})") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("verifier_url", "an address looks like http://127.0.0.1:8000/v1 or https://HOST/v1")
    if parts.username or parts.password or parts.query:
        raise BadInput(
            "verifier_url", "holds a user name, password or query; leave it out and set INSTDIFF_VERIFIER_KEY"
        )
    return f"{parts.scheme}://{parts.hostname}{port}"


def _content(body: bytes) -> str:
    """The text in a chat completion.

    Raises:
        ServiceError: the model refused, or this is no chat completion.
    """
    try:
        choice = json.loads(body)["choices"][0]
        message = choice["message"]
        finish = choice.get("finish_reason")
        refusal = message.get("refusal")
        content = message.get("content")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise _Again(f"it answers with something that is no chat completion ({type(error).__name__})") from error
    if refusal or finish == "content_filter":
        raise _Final("refusal: the model refuses to look at this picture")
    if isinstance(content, list):
        content = "".join(
            part.get("text") or "" for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return content[:MAX_ANSWER_CHARS] if isinstance(content, str) else ""


def _data_url(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _text(words: str) -> dict:
    return {"type": "text", "text": words}


def _seconds(retry_after: str | None) -> float | None:
    """The seconds of a Retry-After header, None if it names none."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return max(seconds, 0.0) if seconds < float("inf") else None
