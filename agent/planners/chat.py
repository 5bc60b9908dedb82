"""The planner that asks a chat model."""

from __future__ import annotations

import time
from string import Template

from pydantic import SecretStr

import prompts
from agent.planners.chat_answer import BadAnswer, answer_schema, layout_as_json, read_answer, verdicts_as_json
from agent.planners.chat_service import ChatService, ServiceFailure
from agent.planners.plan import Plan
from evaluators.report import Report, VerdictKind
from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Layout

FIRST_PAUSE_S = 0.5  # before the second request where the service names no time; doubled each time


class ChatPlanner:
    """Plans with a chat model: OpenAI, any server that speaks as OpenAI does, or Ollama.

    Args:
        name: ``PROVIDER:MODEL`` with the provider ``openai``, ``ollama`` or ``chat``.
        base_url: the server's address, e.g. ``http://127.0.0.1:8000/v1``; None for the provider's own.
        api_key: the key for the service, if it wants one.
        temperature: how freely the model answers, 0 to 2.
        timeout_s: seconds that one answer may take.
        max_attempts: requests for one plan, whatever they are for.
    """

    def __init__(
        self,
        name: str,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        temperature: float = 0.2,
        timeout_s: float = 60.0,
        max_attempts: int = 3,
    ):
        if timeout_s <= 0 or max_attempts < 1:
            raise BadInput("planner", f"timeout_s {timeout_s:g} and max_attempts {max_attempts} must be greater than 0")
        self.name, self.max_attempts = name, max_attempts
        provider, _, model = name.partition(":")
        key = SecretStr(api_key) if isinstance(api_key, str) else api_key
        self._service = ChatService(provider, model, base_url, key, temperature, timeout_s)

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        """A layout for a scene in words.

        Args:
            prompt: the scene, up to 8000 characters.
            size: (width, height) of the picture in pixels.
            seed: of the plan's pictures; also sent to the model.

        Raises:
            BadInput: the prompt or the size cannot be used.
            ServiceError: there is no usable layout after ``max_attempts`` requests, with the last cause.
        """
        _check(prompt, size)
        return Plan(layout=self._ask(_fill("plan_request.md", prompt, size), size, seed), planner=self.name, seed=seed)

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        """A better layout, after ``report`` on the picture of ``plan``.

        Where something is misplaced the plan keeps its seed, so that the places are what changes; otherwise ``seed`` is taken.

        Raises:
            BadInput: the prompt cannot be used.
            ServiceError: as for `plan`.
        """
        size = plan.layout.size
        _check(prompt, size)
        verdicts = verdicts_as_json(plan.layout, report)
        request = _fill("plan_revise.md", prompt, size, layout=layout_as_json(plan.layout), verdicts=verdicts)
        if plan.seed is not None and any(verdict.kind is VerdictKind.MISPLACED for verdict in report.verdicts):
            seed = plan.seed
        return Plan(layout=self._ask(request, size, seed), planner=self.name, seed=seed, mis=plan.mis)

    def _ask(self, request: str, size: tuple[int, int], seed: int) -> Layout:
        """Ask until there is a layout, and at most ``max_attempts`` times."""
        schema = answer_schema()
        opening = [("system", prompts.read("plan_system.md") + "\n\n" + prompts.read("plan_examples.md")), ("human", request)]
        messages, reason, attempt = opening, "", 0
        for attempt in range(1, self.max_attempts + 1):
            answer = ""
            try:
                answer = self._service.ask(messages, schema, seed)
                return read_answer(answer, size)
            except BadAnswer as error:
                reason = f"the answer is no usable layout: {error}"
                messages = [*opening, ("ai", answer[:4000] or "{}"), ("human", _fill("plan_retry.md", "", size, reason=str(error)))]
            except ServiceFailure as error:
                reason = error.reason
                if not error.again:
                    break
                if attempt < self.max_attempts:
                    time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1) if error.wait_s is None else error.wait_s)
        # raised out here so that no client's error, which may quote a request, hangs on to it
        raise ServiceError(f"{self.name}: {reason} (after {attempt} request{'s' if attempt > 1 else ''})")


def _check(prompt: str, size: tuple[int, int]) -> None:
    if not prompt.strip():
        raise BadInput("prompt", "the prompt is empty; describe a scene")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in prompt):
        raise BadInput("prompt", "the prompt is not valid Unicode text")
    Layout.parse({"width": size[0], "height": size[1], "caption": prompt}, "prompt")


def _fill(name: str, prompt: str, size: tuple[int, int], **values: str) -> str:
    """A prompt file with its $names filled in, in one pass: what is filled in is never read again."""
    return Template(prompts.read(name)).substitute(prompt=prompt, width=size[0], height=size[1], **values)
