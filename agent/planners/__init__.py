"""Planners: a scene in words becomes a layout, and a report on its picture becomes a better one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from agent.planners.plan import ChatOptions, Plan, Planner
from instdiff import settings
from instdiff.errors import BadInput, ServiceError
from prompts.usage import Usage

if TYPE_CHECKING:
    from evaluators.report import Report

__all__ = ["AutoPlanner", "ChatOptions", "Plan", "Planner", "check_planner", "load_planner", "server_of"]

CHAT_NAME = re.compile(r"(?P<provider>openai|ollama|chat):(?P<model>[^\s@]+)(?:@(?P<url>\S+))?")
LLAMA_NAME = re.compile(r"llama:(?P<path>.+)")
NAMES = "auto, offline, openai:MODEL, ollama:MODEL, chat:MODEL (with --planner-url), each of these models also as"
NAMES += " MODEL@URL, and llama:FILE.gguf"


class AutoPlanner(Planner):
    """The automatic choice: a chat model whose failures the offline planner makes up for, and says so."""

    name = "auto"

    def __init__(self, planner: Planner, note: str):
        self.planner = planner
        self.note = note

    @property
    def usage(self) -> Usage:
        return self.planner.usage

    def start(self, usage: Usage) -> None:
        self.planner.start(usage)

    def check(self, prompt: str) -> None:
        self.planner.check(prompt)

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        return self._ask(self.planner, lambda planner: planner.plan(prompt, size, seed))

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        # a run that fell back once stays with the offline planner
        chosen = _offline() if plan.planner == "offline" else self.planner
        return self._ask(chosen, lambda planner: planner.revise(prompt, plan, report, seed))

    def _ask(self, planner: Planner, ask: Callable[[Planner], Plan]) -> Plan:
        try:
            return _with_notes(ask(planner), self.note)
        except ServiceError as error:
            failure = error
        try:
            return _with_notes(ask(_offline()), self.note, f"{failure}; the offline planner plans instead.")
        except BadInput as error:
            raise ServiceError(f"{failure}; nor can the offline planner: {error}") from error


def _with_notes(plan: Plan, *notes: str) -> Plan:
    return plan.model_copy(update={"notes": (*notes, *(note for note in plan.notes if note not in notes))})


def check_planner(name: str) -> None:
    """Raise BadInput for a name that `load_planner` does not know."""
    if name not in ("auto", "offline") and not CHAT_NAME.fullmatch(name) and not LLAMA_NAME.fullmatch(name):
        raise BadInput("planner", f"there is no planner {name[:100]!r}; the planners are {NAMES}")


def server_of(name: str) -> str:
    """The address in a planner's name such as ``chat:MODEL@URL``, empty if there is none."""
    match = CHAT_NAME.fullmatch(name)
    return (match and match["url"]) or ""


def load_planner(name: str, cached: bool = False, **options: Any) -> Planner:
    """The planner of this name.

    Args:
        name: ``offline`` (no network, no model), ``openai:gpt-4o``, ``ollama:llama3.1``, ``chat:MODEL`` for any
            OpenAI-compatible server, ``MODEL@URL`` to name the server in place, ``llama:FILE.gguf`` for a model in this
            process; ``auto`` takes ``openai:gpt-4o`` if ``OPENAI_API_KEY`` is set, with the offline planner where that
            fails, and ``offline`` otherwise.
        cached: keep the answers of chat models in the user's cache folder, and take them from there.
        options: of `ChatOptions`; None means the default. The offline planner has no use for them.

    Raises:
        BadInput: no planner has this name, the server's address is not one, or an option makes no sense.
        ServiceError: the official OpenAI service is named and there is no key for it, or a package is missing.
    """
    chat: ChatOptions = ChatOptions.parse({key: value for key, value in options.items() if value is not None})
    if chat.num_ctx is not None and not name.startswith(("ollama:", "llama:")):
        raise BadInput("num_ctx", f"is about ollama:MODEL and llama:FILE.gguf, and not {name[:100]}; leave it out")
    if cached:
        chat = chat.model_copy(update={"cache": settings.cache_folder() / "plans"})
    if name == "offline":
        _refuse_address(chat, "the offline planner")
        return _offline()
    if name == "auto":
        return _auto(chat)
    check_planner(name)
    match = CHAT_NAME.fullmatch(name)
    if not match:
        _refuse_address(chat, "a model from a file")
        return _chat(name, chat)
    if match["url"]:
        chat = chat.model_copy(update={"base_url": match["url"]})
    return _chat(f"{match['provider']}:{match['model']}", chat)


def _auto(options: ChatOptions) -> Planner:
    choice = "The automatic choice is"
    if options.api_key or settings.openai_key():
        note = f"{choice} openai:gpt-4o, because OPENAI_API_KEY is set."
        return AutoPlanner(_chat("openai:gpt-4o", options), note)
    _refuse_address(options, "the offline planner")
    return AutoPlanner(_offline(), f"{choice} the offline planner, because OPENAI_API_KEY is not set.")


def _offline() -> Planner:
    from agent.planners.offline import OfflinePlanner  # the grammar is loaded where it is used

    return OfflinePlanner()


def _refuse_address(options: ChatOptions, planner: str) -> None:
    if options.base_url:
        cure = "name a model with --planner chat:MODEL, or leave it out"
        raise BadInput("planner_url", f"{planner} asks no server; {cure}")


def _chat(name: str, options: ChatOptions) -> Planner:
    from agent.planners.chat import ChatPlanner  # loaded where it is used

    if name.startswith(("ollama:", "llama:")):
        return ChatPlanner(name, options)
    key = options.api_key or SecretStr(settings.openai_key() or "")
    url = options.base_url or settings.openai_base_url()
    if name.startswith("chat:") and not url:
        cure = f"give --planner-url, or write {name}@http://HOST:PORT/v1"
        raise BadInput("planner", f"{name} needs the address of its server: {cure}")
    if not (key or url):
        cure = "name a server of your own with --planner-url, or plan without any service with --planner offline"
        raise ServiceError(f"{name} needs an API key: set OPENAI_API_KEY, or {cure}")
    return ChatPlanner(name, options.model_copy(update={"api_key": key, "base_url": url}))
