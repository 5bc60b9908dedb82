"""A Llama model from a GGUF file, in this process, without network. A grammar of the schema bounds its answers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from instdiff.errors import BadInput, ServiceError
from prompts.client import Message, Reply, RequestError

if TYPE_CHECKING:
    from llama_cpp import Llama

CONTEXT_TOKENS = 8192
ROLES = {"human": "user", "ai": "assistant"}


class LocalModel:
    """One GGUF file, loaded at the first question.

    Args:
        path: of the file.
        timeout_s: seconds that one answer may take once the question is read.
        num_ctx: tokens of question and answer together.

    Raises:
        BadInput: there is no such file, or it is none.
        ServiceError: the package llama-cpp-python is missing.
    """

    def __init__(self, path: str, temperature: float, timeout_s: float, num_ctx: int = CONTEXT_TOKENS):
        check_file(path)
        if find_spec("llama_cpp") is None:
            raise ServiceError('llama:FILE needs the package llama-cpp-python: pip install -e ".[llama]"')
        self.path = Path(path)
        self.place = self.path.name
        self.temperature = temperature
        self.timeout_s = timeout_s
        self.num_ctx = num_ctx

    @property
    def identity(self) -> list:
        """What distinguishes this file and its use from others."""
        status = self.path.stat()
        return ["llama", str(self.path.resolve()), status.st_size, status.st_mtime_ns, self.temperature]

    def send(self, messages: Sequence[Message], schema: dict | None, seed: int | None, max_tokens: int) -> Reply:
        """One answer of at most so many tokens, in the form of the schema.

        Raises:
            RequestError: the file cannot be loaded, or the question is longer than the model's context.
        """
        import llama_cpp

        grammar = llama_cpp.LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False) if schema else None
        talk = [{"role": ROLES.get(message.role, message.role), "content": message.text} for message in messages]
        model = self._llama
        model.reset()
        started = time.monotonic()
        pieces: list[str] = []
        finish = None
        seed = None if seed is None else seed % 2**31
        complete = partial(model.create_chat_completion, temperature=self.temperature, seed=seed, max_tokens=max_tokens)
        try:
            for chunk in complete(talk, grammar=grammar, stream=True):
                started = started if pieces else time.monotonic()  # the question is read when the first piece comes
                choice = chunk["choices"][0]
                finish = choice["finish_reason"]
                if piece := choice["delta"].get("content"):
                    pieces.append(piece)
                if time.monotonic() - started > self.timeout_s:
                    finish = "length"
                    break
        except (ValueError, RuntimeError) as error:  # what llama.cpp's Python side raises
            raise RequestError(f"the model cannot answer: {' '.join(str(error).split())[:200]}") from error
        prompt_tokens = max(model.n_tokens - len(pieces), 0)
        is_cut_off = finish == "length"
        return Reply("".join(pieces), prompt_tokens, len(pieces), is_cut_off, context_tokens=self.num_ctx)

    def ask_otherwise(self, way: str) -> bool:
        """There is one way of asking."""
        return False

    @cached_property
    def _llama(self) -> Llama:
        import llama_cpp

        # threads that wait for a core of their own in vain make llama.cpp many times slower
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        try:
            return llama_cpp.Llama(
                str(self.path), n_ctx=self.num_ctx, verbose=False, n_threads=max(cores // 2, 1), n_threads_batch=cores
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise RequestError(f"{self.path} cannot be loaded: {' '.join(str(error).split())[:200]}") from error


def check_file(path: str) -> None:
    """Raise BadInput for what is no GGUF file."""
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput("planner", f"llama:{path[:200]} cannot be read: {reason}") from error
    if start != b"GGUF":
        raise BadInput("planner", f"llama:{path[:200]} is no GGUF file; give the path of a model such as model.gguf")
