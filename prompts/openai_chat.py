"""LangChain's client for services that speak as OpenAI does, with what it leaves out of an answer."""

from __future__ import annotations

from typing import Any

from langchain_openai import ChatOpenAI


class OpenAIChat(ChatOpenAI):
    """Keeps the thought that servers put beside a message: ``reasoning_content`` (DeepSeek, SGLang), ``reasoning``."""

    def _create_chat_result(self, response: Any, generation_info: dict | None = None):
        result = super()._create_chat_result(response, generation_info)
        choices = response["choices"] if isinstance(response, dict) else response.choices
        for generation, choice in zip(result.generations, choices, strict=True):
            message = choice["message"] if isinstance(choice, dict) else choice.message
            fields = message if isinstance(message, dict) else message.model_extra or {}
            thoughts = [fields.get(name) for name in ("reasoning_content", "reasoning")]
            thought = next((thought for thought in thoughts if isinstance(thought, str) and thought.strip()), None)
            if thought:
                generation.message.additional_kwargs["reasoning_content"] = thought
        return result
