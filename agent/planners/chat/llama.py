"""A Llama model from a GGUF file, in this process: no server, no network. A grammar made of the schema bounds what it
can say.
"""

from __future__ import annotations

import json
import os
import time
from importlib.util import find_spec
from pathlib import Path

from agent.planners.chat.answer import BadAnswer
from agent.planners.chat.reply import CUT_OFF, Reply, ServiceFailure
from instdiff.errors import BadInput, ServiceError

CONTEXT_TOKENS = 8192
ROLES = {"human": "user", "ai": "assistant"}


class LlamaService:
    """One GGUF file, loaded at the first question.

    Args:
        path: of the file.
        timeout_s: seconds that one answer may take once the question is read.

    Raises:
        BadInput: there is no such file, or it is none.
        ServiceError: the package llama-cpp-python is missing.
    """

    def __init__(self, path: str, temperature: float, timeout_s: float):
        check_file(path)
        if find_spec("llama_cpp") is None:
            raise ServiceError('llama:FILE needs the package llama-cpp-python: pip install -e ".[llama]"')
        self.path = Path(path)
        self.temperature = temperature
        self.timeout_s = timeout_s
        self._model = None

    @property
    def identity(self) -> list:
        """What tells this model from others."""
        about = self.path.stat()
        return ["llama", str(self.path.resolve()), about.st_size, about.st_mtime_ns, self.temperature]

    def ask(self, messages: list[tuple[str, str]], schema: dict, seed: int, max_tokens: int) -> Reply:
        """One answer in the form of the schema; arguments as for `agent.planners.chat.service.ChatService.ask`.

        Raises:
            ServiceFailure: the file cannot be loaded, or the question is longer than the model's context.
        """
        import llama_cpp

        model = self._loaded(llama_cpp)
        grammar = llama_cpp.LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)
        talk = [{"role": ROLES.get(role, role), "content": text} for role, text in messages]
        model.reset()
        started = time.monotonic()
        text = ""
        count = 0
        finish = None
        settings = {"temperature": self.temperature, "seed": seed % 2**31, "max_tokens": max_tokens}
        try:
            for chunk in model.create_chat_completion(talk, grammar=grammar, stream=True, **settings):
                started = started if count else time.monotonic()  # the question is read when the first piece comes
                piece = chunk["choices"][0]
                said = piece["delta"].get("content") or ""
                finish = piece["finish_reason"]
                text = text + said
                count = count + bool(said)
                if time.monotonic() - started > self.timeout_s:
                    finish = "length"
                    break
        except (ValueError, RuntimeError) as error:  # what llama.cpp's Python side raises
            raise ServiceFailure(f"the model cannot answer: {' '.join(str(error).split())[:200]}") from error
        prompt_tokens = max(model.n_tokens - count, 0)
        return Reply(text, prompt_tokens, count, BadAnswer(CUT_OFF) if finish == "length" else None)

    def _loaded(self, llama_cpp):
        if self._model is None:
            # threads that wait for a core of their own in vain make llama.cpp many times slower
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            threads = {"n_threads": max(cores // 2, 1), "n_threads_batch": cores}
            try:
                self._model = llama_cpp.Llama(str(self.path), n_ctx=CONTEXT_TOKENS, verbose=False, **threads)
            except (ValueError, RuntimeError, OSError) as error:
                raise ServiceFailure(f"{self.path} cannot be loaded: {' '.join(str(error).split())[:200]}") from error
        return self._model


def check_file(path: str) -> None:
    """Raise BadInput for what is no GGUF file."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except (OSError, ValueError) as error:
        raise BadInput(
            "planner", f"llama:{path[:200]} cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    if start != b"GGUF":
        raise BadInput("planner", f"llama:{path[:200]} is no GGUF file; give the path of a model such as model.gguf")
