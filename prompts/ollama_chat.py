"""LangChain's client for Ollama, with what it leaves out of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_ollama import ChatOllama
from pydantic import PrivateAttr


class OllamaChat(ChatOllama):
    """Keeps the thought that comes beside a message, for one request; LangChain does so only if it asked for one."""

    _thoughts: list[str] = PrivateAttr(default_factory=list)

    def _create_chat_stream(self, messages: Any, stop: Any = None, **kwargs: Any) -> Iterator[Any]:
        for part in super()._create_chat_stream(messages, stop, **kwargs):
            message = {} if isinstance(part, str) else part.get("message") or {}
            if thought := message.get("thinking"):
                self._thoughts.append(thought)
            yield part

    def _generate(self, *args: Any, **kwargs: Any):
        result = super()._generate(*args, **kwargs)
        if self._thoughts:
            result.generations[0].message.additional_kwargs["reasoning_content"] = "".join(self._thoughts)
        return result
