"""The planner that asks a chat model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from string import Template

from pydantic import SecretStr

import prompts
from agent.planners.chat.answer import BadAnswer, Drawn, Form, verdicts_as_json
from agent.planners.chat.boxes import BoxesForm
from agent.planners.chat.budget import Ceiling, Spent, estimated_tokens, in_words
from agent.planners.chat.cache import AnswerCache
from agent.planners.chat.reply import Reply, ServiceFailure
from agent.planners.chat.scene import SceneForm
from agent.planners.chat.service import ChatService
from agent.planners.plan import Plan, Planner
from evaluators.report import Report, VerdictKind
from instdiff.errors import BadInput, ServiceError, printable
from instdiff.layout import Layout
from instdiff.world import knowledge
from prompts.usage import Usage

FIRST_PAUSE_S = 0.5  # before the second request where the service names no time; doubled each time
TIMEOUT_S = 60.0
LOCAL_TIMEOUT_S = 600.0
FORMS = {"scene": SceneForm, "boxes": BoxesForm}


@dataclass(frozen=True)
class _Question:
    """One plan that is asked for: ``seed`` goes to the model, ``places_seed`` to the camera."""

    form: Form
    prompt: str
    request: str
    size: tuple[int, int]
    seed: int
    places_seed: int

    @property
    def opening(self) -> list[tuple[str, str]]:
        """The messages that open the talk."""
        system = Template(prompts.read(f"plan_{self.form.name}_system.md")).substitute(
            things=", ".join(knowledge.things())
        )
        return [("system", f"{system}\n\n{self.form.examples(self.prompt)}"), ("human", self.request)]

    def read(self, answer: str) -> Drawn:
        return self.form.read(answer, self.prompt, self.size, self.places_seed)


class ChatPlanner(Planner):
    """Plans with a chat model: OpenAI, any server that speaks as OpenAI does, Ollama, or a GGUF file in this process.

    Args:
        name: ``PROVIDER:MODEL`` with the provider ``openai``, ``ollama``, ``chat`` or ``llama`` (whose model is a
        path).
        base_url: the server's address, e.g. ``http://127.0.0.1:8000/v1``; None for the provider's own.
        api_key: the key for the service, if it wants one.
        temperature: how freely the model answers, 0 to 2.
        timeout_s: seconds that one answer may take; None for a minute, and ten for a model in this process.
        max_attempts: requests for one plan, whatever they are for.
        planning: ``scene`` asks for things in metres that our camera puts on the picture, ``boxes`` for places.
        cache: the folder of earlier answers; None asks anew each time.
        max_tokens, max_usd: at most so much is spent, counted in ``used``; looked at before each request.

    ``used`` is what was spent so far, counted from what `count_from` was given.

    Raises:
        BadInput: a value makes no sense, or dollars are to be bounded for a model whose price is not known.
    """

    def __init__(
        self,
        name: str,
        base_url: str | None = None,
        api_key: str | SecretStr | None = None,
        temperature: float = 0.2,
        timeout_s: float | None = None,
        max_attempts: int = 3,
        planning: str = "scene",
        cache: str | Path | None = None,
        max_tokens: int | None = None,
        max_usd: float | None = None,
    ):
        provider, _, model = name.partition(":")
        timeout_s = timeout_s if timeout_s is not None else LOCAL_TIMEOUT_S if provider == "llama" else TIMEOUT_S
        if timeout_s <= 0 or max_attempts < 1:
            raise BadInput("planner", f"timeout_s {timeout_s:g} and max_attempts {max_attempts} must be greater than 0")
        if planning not in FORMS:
            raise BadInput("planning", f"there is no way {planning[:60]!r} to plan; give one of {', '.join(FORMS)}")
        self.name = name
        self.max_attempts = max_attempts
        self.form = FORMS[planning]()
        self._usage = Usage()
        self.ceiling = Ceiling(name, max_tokens, max_usd)
        self.cache = AnswerCache(cache) if cache else None
        if provider == "llama":
            from agent.planners.chat.llama import LlamaService

            self._service = LlamaService(model, temperature, timeout_s)
        else:
            key = SecretStr(api_key) if isinstance(api_key, str) else api_key
            self._service = ChatService(provider, model, base_url, key, temperature, timeout_s, bind=self.ceiling.binds)

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        """A layout for a scene in words.

        Args:
            prompt: the scene, up to 8000 characters.
            size: (width, height) of the picture in pixels.
            seed: of the plan's pictures and places; also sent to the model.

        Raises:
            BadInput: the prompt or the size cannot be used.
            ServiceError: there is no usable layout after ``max_attempts`` requests, or no money for one, with the last
                cause.
        """
        _check(prompt, size)
        request = _fill("plan_request.md", prompt, size)
        try:
            return self._plan(_Question(self.form, prompt, request, size, seed, seed), seed=seed)
        except Spent as error:
            raise ServiceError(f"{self.name}: {error}") from error

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        """A better layout, after ``report`` on the picture of ``plan``.

        Where something is misplaced the plan keeps its seed, so that the places are what changes; otherwise ``seed`` is
        taken. A plan without a scene is revised as boxes. When the ceiling is reached the plan is kept with another
        seed.

        Raises:
            BadInput: the prompt cannot be used.
            ServiceError: as for `plan`.
        """
        size = plan.layout.size
        _check(prompt, size)
        has_scene = plan.scene is not None and len(plan.ids) == len(plan.layout.instances)
        form = self.form if has_scene else BoxesForm()
        values = {"plan": form.as_json(plan), "verdicts": verdicts_as_json(plan, report, form.called(plan))}
        request = _fill(f"plan_{form.name}_revise.md", prompt, size, **values)
        places_seed = seed if plan.seed is None else plan.seed
        try:
            revised = self._plan(
                _Question(form, prompt, request, size, seed, places_seed), seed=seed, mis=plan.mis, alpha=plan.alpha
            )
        except Spent as error:
            return plan.model_copy(
                update={"notes": (f"The plan is painted again with another seed: {error}.",), "seed": seed}
            )
        misplaced = any(verdict.kind is VerdictKind.MISPLACED for verdict in report.verdicts)
        keeps_seed = misplaced and plan.seed is not None and revised.layout != plan.layout
        return revised.model_copy(update={"seed": plan.seed}) if keeps_seed else revised

    def _plan(self, question: _Question, **fields) -> Plan:
        """The plan that answers the question, from the cache or from the model."""
        key = [*self._service.identity, question.opening, question.form.schema, question.seed]
        drawn = self._kept(key, question)
        source = "The answer was kept from an earlier run."
        if drawn is None:
            drawn, answer = self._ask(question)
            source = in_words(self.name, self._usage)
            if self.cache:
                self.cache.put(key, answer)
        return Plan(**{**drawn._asdict(), "notes": (*drawn.notes, source)}, planner=self.name, **fields)

    def _ask(self, question: _Question) -> tuple[Drawn, str]:
        """Ask until there is a usable answer, and at most ``max_attempts`` times.

        Returns:
            What the answer comes to, and its text.

        Raises:
            Spent: the first request does not fit under the ceiling.
            ServiceError: there is no usable answer.
        """
        messages = question.opening
        reason = ""
        attempt = 0
        for attempt in range(1, self.max_attempts + 1):
            answer = ""
            try:
                answer = self._answer(messages, question)
                return question.read(answer), answer
            except Spent as error:
                if attempt == 1:
                    raise
                reason = f"{reason}; {error}"
                attempt = attempt - 1
                break
            except BadAnswer as error:
                reason = f"the answer is no usable layout: {error}"
                retry = _fill(f"plan_{question.form.name}_retry.md", "", question.size, reason=str(error))
                messages = [*question.opening, ("ai", answer[:4000] or "{}"), ("human", retry)]
            except ServiceFailure as error:
                reason = error.reason
                if not error.again:
                    break
                if attempt < self.max_attempts:
                    time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1) if error.wait_s is None else error.wait_s)
        # raised out here so that no client's error, which may quote a request, hangs on to it
        raise ServiceError(f"{self.name}: {reason} (after {attempt} request{'s' if attempt > 1 else ''})")

    def _answer(self, messages: list[tuple[str, str]], question: _Question) -> str:
        """The answer to one request, if there is room for it; what it takes is counted, whatever becomes of it."""
        prompt_tokens = estimated_tokens(messages, question.form.schema)
        room = self.ceiling.room(self._usage, prompt_tokens)
        try:
            reply = self._service.ask(messages, question.form.schema, question.seed, room)
        except ServiceFailure as error:
            reply = Reply(trouble=error) if error.worked else Reply("", 0, 0, error)
        self._usage = self.ceiling.after(self._usage, reply, prompt_tokens, room)
        if reply.trouble:
            raise reply.trouble
        return reply.text

    def _kept(self, key: list, question: _Question) -> Drawn | None:
        """What an earlier answer to the same question comes to, None without a usable one."""
        answer = self.cache.get(key) if self.cache else None
        try:
            return None if answer is None else question.read(answer)
        except BadAnswer:
            return None


def _check(prompt: str, size: tuple[int, int]) -> None:
    if not prompt.strip():
        raise BadInput("prompt", "the prompt is empty; describe a scene")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in prompt):
        raise BadInput("prompt", "the prompt is not valid Unicode text")
    Layout.parse({"width": size[0], "height": size[1], "caption": prompt}, "prompt")


def _fill(name: str, prompt: str, size: tuple[int, int], **values: str) -> str:
    """A prompt file with its $names filled in, in one pass: what is filled in is never read again.

    The description stays on the line that it stands on, so that nothing in it looks like another part of the request.
    """
    return Template(prompts.read(name)).substitute(prompt=printable(prompt), width=size[0], height=size[1], **values)
