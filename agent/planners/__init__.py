"""Planners: a scene in words becomes a layout, and a report on its picture becomes a better one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from instdiff import settings
from instdiff.errors import BadInput, ServiceError

if TYPE_CHECKING:
    from agent.planners.plan import Plan
    from evaluators.report import Report

CHAT_NAME = re.compile(r"(?P<provider>openai|ollama|chat):(?P<model>[^\s@]+)(?:@(?P<url>\S+))?")
NAMES = "auto, offline, openai:MODEL, ollama:MODEL, chat:MODEL (with --planner-url), each chat model also as MODEL@URL"


class Planner(Protocol):
    """Anything that plans. ``size`` is (width, height) in pixels."""

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan: ...

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan: ...


class _Announced:
    """A planner whose plans carry one more note: why this planner was taken."""

    def __init__(self, planner: Planner, note: str):
        self.planner, self.note = planner, note

    def check(self, prompt: str) -> None:
        check_prompt(self.planner, prompt)

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        return self._noted(self.planner.plan(prompt, size, seed))

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        return self._noted(self.planner.revise(prompt, plan, report, seed))

    def _noted(self, plan: Plan) -> Plan:
        return plan if self.note in plan.notes else plan.model_copy(update={"notes": (self.note, *plan.notes)})


def check_planner(name: str) -> None:
    """Raise BadInput for a name that `load_planner` does not know."""
    if name not in ("auto", "offline") and not CHAT_NAME.fullmatch(name):
        raise BadInput("planner", f"there is no planner {name[:100]!r}; the planners are {NAMES}")


def check_prompt(planner: Planner, prompt: str) -> None:
    """Raise BadInput for a prompt that the planner can tell at once it will not understand; chat models take any."""
    if check := getattr(planner, "check", None):
        check(prompt)


def load_planner(name: str, **options) -> Planner:
    """The planner of this name.

    Args:
        name: ``offline`` (no network, no model), ``openai:gpt-4o``, ``ollama:llama3.1``, ``chat:MODEL`` for any
            OpenAI-compatible server, ``MODEL@URL`` to name the server in place; ``auto`` takes ``openai:gpt-4o`` if
            ``OPENAI_API_KEY`` is set and ``offline`` otherwise.
        options: ``base_url``, ``api_key``, ``temperature``, ``timeout_s``, ``max_attempts`` of the chat planner;
            None means its default. The offline planner has no use for them.

    Raises:
        BadInput: no planner has this name, or the server's address is not one.
        ServiceError: the official OpenAI service is named and there is no key for it.
    """
    options = {key: value for key, value in options.items() if value is not None}
    if name == "offline":
        return _offline(options)
    if name == "auto":
        return _auto(options)
    check_planner(name)
    match = CHAT_NAME.fullmatch(name)
    if match["url"]:
        options["base_url"] = match["url"]
    return _chat(match["provider"], match["model"], options)


def _auto(options: dict) -> Planner:
    if options.get("api_key") or settings.openai_key():
        note = "The automatic choice is openai:gpt-4o, because OPENAI_API_KEY is set."
        return _Announced(_chat("openai", "gpt-4o", options), note)
    note = "The automatic choice is the offline planner, because OPENAI_API_KEY is not set."
    return _Announced(_offline(options), note)


def _offline(options: dict) -> Planner:
    if "base_url" in options:
        raise BadInput("planner_url", "the offline planner asks no server; name a model with --planner chat:MODEL, or leave it out")
    from agent.planners.offline import OfflinePlanner

    return OfflinePlanner()


def _chat(provider: str, model: str, options: dict) -> Planner:
    from agent.planners.chat import ChatPlanner

    name = f"{provider}:{model}"
    if provider != "ollama":
        options = {"api_key": settings.openai_key(), "base_url": settings.openai_base_url(), **options}
        if provider == "chat" and not options["base_url"]:
            raise BadInput("planner", f"{name} needs the address of its server: give --planner-url, or write {name}@http://HOST:PORT/v1")
        if not (options["api_key"] or options["base_url"]):
            raise ServiceError(
                f"{name} needs an API key: set OPENAI_API_KEY, or name a server of your own with --planner-url, "
                "or plan without any service with --planner offline"
            )
    return ChatPlanner(name, **options)
