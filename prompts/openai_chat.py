"""LangChain's client for services that speak as OpenAI does, with what it leaves out of an answer."""

from __future__ import annotations

import json
from typing import Any

from langchain_openai import ChatOpenAI


class OpenAIChat(ChatOpenAI):
    """Keeps the thought that servers put beside a message: ``reasoning_content`` (DeepSeek, SGLang), ``reasoning``."""

    def _create_chat_result(self, response: Any, generation_info: dict | None = None):
        choices = getattr(response, "choices", None) or []
        for choice in choices:
            for call in choice.message.tool_calls or []:
                if isinstance(call.function.arguments, dict):  # some servers give an object instead of its text
                    call.function.arguments = json.dumps(call.function.arguments)
        result = super()._create_chat_result(response, generation_info)
        for generation, choice in zip(result.generations, choices, strict=False):
            beside = choice.message.model_extra or {}
            thoughts = [beside.get(name) for name in ("reasoning_content", "reasoning")]
            thought = next((thought for thought in thoughts if isinstance(thought, str) and thought.strip()), None)
            if thought:
                generation.message.additional_kwargs["reasoning_content"] = thought
        return result
