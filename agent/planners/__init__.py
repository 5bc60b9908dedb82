"""Planners: a scene in words becomes a layout, and a report on its picture becomes a better one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.planners.chat.planner import ChatPlanner
from agent.planners.offline import OfflinePlanner
from agent.planners.plan import Plan, Planner
from instdiff import settings
from instdiff.errors import BadInput, ServiceError
from prompts.usage import Usage

if TYPE_CHECKING:
    from evaluators.report import Report

CHAT_NAME = re.compile(r"(?P<provider>openai|ollama|chat):(?P<model>[^\s@]+)(?:@(?P<url>\S+))?")
LLAMA_NAME = re.compile(r"llama:(?P<path>.+)")
NAMES = (
    "auto, offline, openai:MODEL, ollama:MODEL, chat:MODEL (with --planner-url), each of these models also as"
    " MODEL@URL, and llama:FILE.gguf"
)


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
        chosen = OfflinePlanner() if plan.planner == "offline" else self.planner
        return self._ask(chosen, lambda planner: planner.revise(prompt, plan, report, seed))

    def _ask(self, planner: Planner, ask: Callable[[Planner], Plan]) -> Plan:
        try:
            return _with_notes(ask(planner), self.note)
        except ServiceError as error:
            failure = error
        try:
            note = f"{failure}; the offline planner plans instead."
            return _with_notes(ask(OfflinePlanner()), self.note, note)
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


def load_planner(name: str, cached: bool = False, **options) -> Planner:
    """The planner of this name.

    Args:
        name: ``offline`` (no network, no model), ``openai:gpt-4o``, ``ollama:llama3.1``, ``chat:MODEL`` for any
            OpenAI-compatible server, ``MODEL@URL`` to name the server in place, ``llama:FILE.gguf`` for a model in this
            process; ``auto`` takes ``openai:gpt-4o`` if ``OPENAI_API_KEY`` is set, with the offline planner where that
            fails, and ``offline`` otherwise.
        cached: keep the answers of chat models in the user's cache folder, and take them from there.
        options: of the chat planner, see `agent.planners.chat.ChatPlanner`; None means its default. The offline planner
            has no use for them.

    Raises:
        BadInput: no planner has this name, the server's address is not one, or an option makes no sense.
        ServiceError: the official OpenAI service is named and there is no key for it, or a package is missing.
    """
    options = {key: value for key, value in options.items() if value is not None}
    if name == "offline":
        return _offline(options)
    options |= {"cache": settings.cache_folder() / "plans"} if cached else {}
    if name == "auto":
        return _auto(options)
    check_planner(name)
    if LLAMA_NAME.fullmatch(name):
        return _llama(name, options)
    match = CHAT_NAME.fullmatch(name)
    if match["url"]:
        options["base_url"] = match["url"]
    return _chat(match["provider"], match["model"], options)


def _auto(options: dict) -> Planner:
    if options.get("api_key") or settings.openai_key():
        return AutoPlanner(
            _chat("openai", "gpt-4o", options), "The automatic choice is openai:gpt-4o, because OPENAI_API_KEY is set."
        )
    return AutoPlanner(
        _offline(options), "The automatic choice is the offline planner, because OPENAI_API_KEY is not set."
    )


def _offline(options: dict) -> Planner:
    if "base_url" in options:
        raise BadInput(
            "planner_url", "the offline planner asks no server; name a model with --planner chat:MODEL, or leave it out"
        )
    return OfflinePlanner()


def _llama(name: str, options: dict) -> Planner:
    if "base_url" in options:
        raise BadInput(
            "planner_url", "a model from a file asks no server; name a model with --planner chat:MODEL, or leave it out"
        )
    return ChatPlanner(name, **options)


def _chat(provider: str, model: str, options: dict) -> Planner:
    name = f"{provider}:{model}"
    if provider != "ollama":
        options = {"api_key": settings.openai_key(), "base_url": settings.openai_base_url(), **options}
        if provider == "chat" and not options["base_url"]:
            raise BadInput(
                "planner",
                f"{name} needs the address of its server: give --planner-url, or write {name}@http://HOST:PORT/v1",
            )
        if not (options["api_key"] or options["base_url"]):
            raise ServiceError(
                f"{name} needs an API key: set OPENAI_API_KEY, or name a server of your own with --planner-url, "
                "or plan without any service with --planner offline"
            )
    return ChatPlanner(name, **options)
