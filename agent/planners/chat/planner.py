"""The planner that asks a chat model."""

from __future__ import annotations

from string import Template

import prompts
from agent.planners.chat.answer import CUT_OFF, Form, PlanParts, verdicts_as_json
from agent.planners.chat.boxes import BoxesForm
from agent.planners.chat.scene import SceneForm
from agent.planners.plan import ChatOptions, Plan, Planner
from evaluators.report import Report, VerdictKind
from instdiff.errors import BadInput, ServiceError, printable
from instdiff.layout import Layout
from instdiff.world import knowledge
from prompts.budget import Budget, BudgetExceededError
from prompts.cache import AnswerCache
from prompts.client import AnswerError, Message, Model, ModelClient, Question, Reply
from prompts.local_model import CONTEXT_TOKENS, LocalModel
from prompts.service import ChatService
from prompts.usage import Usage

TIMEOUT_S = 60.0
LOCAL_TIMEOUT_S = 600.0
FORMS: dict[str, type[Form]] = {"scene": SceneForm, "boxes": BoxesForm}


class ChatPlanner(Planner):
    """Plans with a chat model: OpenAI, any server that speaks as OpenAI does, Ollama, or a GGUF file in this process.

    Args:
        name: ``PROVIDER:MODEL`` with the provider ``openai``, ``ollama``, ``chat`` or ``llama`` (then a path).

    Raises:
        BadInput: a value makes no sense, or dollars are to be bounded for a model whose price is not known.
    """

    def __init__(self, name: str, options: ChatOptions = ChatOptions()):  # noqa: B008 (immutable)
        provider, _, model = name.partition(":")
        timeout_s = options.timeout_s
        if timeout_s is None:
            timeout_s = LOCAL_TIMEOUT_S if provider == "llama" else TIMEOUT_S
        if timeout_s <= 0 or options.max_attempts < 1:
            values = f"timeout_s {timeout_s:g} and max_attempts {options.max_attempts}"
            raise BadInput("planner", f"{values} must be greater than 0")
        num_ctx = options.num_ctx
        if num_ctx is not None and num_ctx < 1:
            raise BadInput("num_ctx", f"{num_ctx} tokens hold no question; give more, or leave it out")
        if options.planning not in FORMS:
            ways = ", ".join(FORMS)
            raise BadInput("planning", f"there is no way {options.planning[:60]!r} to plan; give one of {ways}")
        self.name = name
        self.form = FORMS[options.planning]()
        budget = Budget(name, options.max_tokens, options.max_usd)
        temperature = options.temperature
        url = options.base_url
        place: Model
        if provider == "llama":
            place = LocalModel(model, temperature, timeout_s, num_ctx or CONTEXT_TOKENS)
        else:
            key = options.api_key
            place = ChatService(provider, model, url, key, temperature, timeout_s, budget.is_bounded, num_ctx=num_ctx)
        cache = AnswerCache(options.cache) if options.cache else None
        self.client = ModelClient(name, place, budget, options.max_attempts, cache)

    @property
    def usage(self) -> Usage:
        return self.client.usage

    def start(self, usage: Usage) -> None:
        self.client.usage = usage

    def plan(self, prompt: str, size: tuple[int, int], seed: int) -> Plan:
        """A layout for a scene in words.

        Args:
            prompt: the scene, up to 8000 characters.
            size: (width, height) of the picture in pixels.
            seed: of the plan's pictures and places; also sent to the model.

        Raises:
            BadInput: the prompt or the size cannot be used.
            ServiceError: after ``max_attempts`` requests no layout is usable, or there is no money for one.
        """
        _check(prompt, size)
        request = _fill("plan_request.md", prompt, size)
        try:
            return self._ask(self.form, prompt, request, size, seed, seed)
        except BudgetExceededError as error:
            raise ServiceError(f"{self.name}: {error}") from error

    def revise(self, prompt: str, plan: Plan, report: Report, seed: int) -> Plan:
        """A better layout, after ``report`` on the picture of ``plan``.

        Where something is misplaced the plan keeps its seed, so that the places are what changes; otherwise ``seed`` is
        taken. A plan without a scene is revised as boxes. When the budget is spent the plan is kept with another seed.

        Raises:
            BadInput: the prompt cannot be used.
            ServiceError: as for `plan`.
        """
        size = plan.layout.size
        _check(prompt, size)
        has_scene = plan.scene is not None and len(plan.ids) == len(plan.layout.instances)
        form = self.form if has_scene else BoxesForm()
        verdicts = verdicts_as_json(plan, report, form.labels(plan))
        request = _fill(f"plan_{form.name}_revise.md", prompt, size, plan=form.as_json(plan), verdicts=verdicts)
        places_seed = seed if plan.seed is None else plan.seed
        try:
            revised = self._ask(form, prompt, request, size, seed, places_seed)
        except BudgetExceededError as error:
            note = f"The plan is painted again with another seed: {error}."
            return plan.model_copy(update={"notes": (note,), "seed": seed})
        misplaced = any(verdict.kind is VerdictKind.MISPLACED for verdict in report.verdicts)
        keeps_seed = misplaced and plan.seed is not None and revised.layout != plan.layout
        changes = {"mis": plan.mis, "alpha": plan.alpha, "seed": plan.seed if keeps_seed else seed}
        return revised.model_copy(update=changes)

    def _ask(self, form: Form, prompt: str, request: str, size: tuple[int, int], seed: int, places_seed: int) -> Plan:
        """The plan that answers a request: ``seed`` goes to the model, ``places_seed`` to the camera."""
        system = Template(prompts.read(f"plan_{form.name}_system.md")).substitute(things=", ".join(knowledge.things()))
        opening = Message("system", f"{system}\n\n{form.examples(prompt)}")

        def read(reply: Reply) -> PlanParts:
            if reply.is_cut_off:
                raise AnswerError(_cut_off(reply.context_tokens))
            return form.read(reply.text, prompt, size, places_seed)

        def complain(reason: str) -> str:
            return _fill(f"plan_{form.name}_retry.md", "", size, reason=reason)

        requests_before = self.usage.requests
        talk = (opening, Message("human", request))
        question = Question(talk, "layout", read, form.schema, seed, complain, reads_thoughts=True)
        parts = self.client.ask(question)
        is_kept = self.usage.requests == requests_before
        note = "The answer was kept from an earlier run." if is_kept else self.client.budget.describe(self.usage)
        notes = (*parts.notes, note)
        return Plan(layout=parts.layout, planner=self.name, notes=notes, seed=seed, scene=parts.scene, ids=parts.ids)


def _cut_off(context_tokens: int | None) -> str:
    """What is said of an answer that was cut short, in a context of so many tokens if that is known."""
    context = f"; the model had a context of {context_tokens} tokens, --num-ctx gives it another"
    return CUT_OFF + (context if context_tokens else "")


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
    values |= {"prompt": printable(prompt), "width": str(size[0]), "height": str(size[1])}
    return Template(prompts.read(name)).substitute(values)
