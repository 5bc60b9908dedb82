"""plan → criticise → render → verify → revise, until everything is found or the rounds are spent."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.addresses import check_planner_urls, check_stored_addresses
from agent.critic.critic import criticise, criticise_and_replan
from agent.events import Done, Event, Loading, Started
from agent.graph import build_graph, checkpointer, read_state
from agent.parts import check_abilities, check_part, check_same, is_own, name_of
from agent.planners import Planner, check_planner, load_planner
from agent.planners.plan import Plan
from agent.request import AUTO, MAX_ROUNDS, Part, Request
from agent.runs import GIVEN, Answer, Run, check_links, clear_unfinished, new_folder
from agent.state import NO_STATE
from agent.steps import Steps
from evaluators.detectors import Detector, check_detector, default_verifier, load_detector
from instdiff.engine import Engine, engine_info, load_engine
from instdiff.errors import BadInput, ServiceError
from instdiff.formats import save_layout
from instdiff.layout import Layout
from instdiff.model.refine import find_refiner
from instdiff.render_settings import RenderSettings
from instdiff.settings import openai_key
from prompts.usage import Usage

if TYPE_CHECKING:
    from agent.edit import Source

CHECKPOINT = "checkpoint.sqlite"
OnEvent = Callable[[Event], None]
T = TypeVar("T")


class Agent:
    """From a sentence to a verified picture. The best round is the result, not the last.

    Planner, engine and verifier are names, which are loaded when they are needed and kept for the next run, or objects.
    A run remembers names alone: where it had objects of the user's, it is resumed by an agent that is given them again.

    Args:
        request: what runs are asked for; its fields can be given one by one as well, such as ``rounds=2``.
        planner: a name (see `agent.planners.load_planner`) or an object (see `agent.planners.plan.Planner`).
        engine: a name (see `instdiff.engine.load_engine`) or an object (see `instdiff.engine_protocol.Engine`).
        verifier: a name (see `evaluators.detectors.load_detector`) or an object (see `evaluators.detectors.Detector`);
            ``none`` verifies nothing and stops after one round. ``auto`` takes the bundled one for the draft engine,
            which knows its drawings alone; for any other engine, and so for an object, an open-vocabulary detector if
            its weights are on this machine, and else none. ``verifier_note`` says which and why.
        out: the folder that gets a new folder for each run.
        on_event: is given each event, see `agent.events`.
        trust_remote_code: let the code run that comes with the verifier ``cogvlm``; no run remembers this.
        preview_every: denoising steps between two `agent.events.PreviewReady`; 0 makes none.
        options: fields of `agent.request.Request`.

    Raises:
        BadInput: a name is not known, an object lacks a method or an argument of it, or a value is out of range.
    """

    def __init__(
        self,
        request: Request | None = None,
        *,
        planner: str | Planner | None = None,
        engine: str | Engine | None = None,
        verifier: str | Detector | None = None,
        out: str | Path = Path("outputs"),
        on_event: OnEvent | None = None,
        trust_remote_code: bool = False,
        preview_every: int = 0,
        **options: object,
    ):
        request = request or Request()
        self.planner = request.planner if planner is None else planner
        self.engine = request.engine if engine is None else engine
        self.verifier = request.verifier if verifier is None else verifier
        for kind, part in self._parts.items():
            check_part(kind, part)
        self.verifier_note = ""
        if self.verifier == AUTO:
            # an own engine may be called as ours, and is another
            self.verifier, self.verifier_note = default_verifier("" if is_own(self.engine) else name_of(self.engine))
            if is_own(self.engine):
                warnings.warn(self.verifier_note, stacklevel=2)
        self.out = Path(out)
        self.on_event = on_event or (lambda event: None)
        self.trust_remote_code = trust_remote_code
        self.preview_every = preview_every
        names: dict[str, Any] = {kind: name_of(part) for kind, part in self._parts.items()}
        self.request = Request.parse({**dict(request), **options, **names, "own": self._own})
        self._loaded: dict[tuple, Any] = {}
        self._check(self.request)

    @property
    def _parts(self) -> dict[Part, Any]:
        return {"planner": self.planner, "engine": self.engine, "verifier": self.verifier}

    @property
    def _own(self) -> tuple[Part, ...]:
        """The kinds of parts that no name loads."""
        return tuple(kind for kind, part in self._parts.items() if is_own(part))

    def plan(self, prompt: str | None = None, layout: Layout | None = None) -> Plan:
        """The first plan alone, as it would be painted, with what the critic found. Takes what `run` takes."""
        request = self._request(prompt, layout)
        if layout:
            plan = Plan(layout=self._resized(layout), planner="none", notes=("the layout was given",))
            return criticise(plan, repair=False).plan_with_notes()
        planner = self._planner(request, Usage())
        seed = request.settings.seed
        plan = planner.plan(request.prompt, self._size(request), seed)
        return criticise_and_replan(plan, request.prompt, planner, seed).plan_with_notes()

    def run(self, prompt: str | None = None, layout: Layout | None = None, seed: int | None = None) -> Run:
        """Plan, paint and look, round after round.

        Args:
            prompt: the scene in words.
            layout: what to paint, instead of a prompt. No planner is asked then; further rounds keep the places
                and change the seed alone.
            seed: of the first picture; None takes that of the settings.

        Returns:
            The finished run; its folder holds everything.

        Raises:
            BadInput: neither or both are given, or the engine cannot paint this.
            ServiceError: the planner or another needed service failed. `resume` goes on from there.
        """
        run = self.prepare(prompt, layout, seed)
        self.on_event(Started(folder=run.folder, resumed=False))
        return self._go(run)

    def prepare(self, prompt: str | None = None, layout: Layout | None = None, seed: int | None = None) -> Run:
        """A new run that has its folder and nothing else: any process can `resume` it. Takes what `run` takes."""
        request = self._request(prompt, layout, seed)
        if layout is None:
            self._planner(request, Usage()).check(request.prompt)
        folder = new_folder(self.out, request.prompt)
        if layout:
            save_layout(self._resized(layout), folder / GIVEN)
        run = Run(folder=folder, request=request)
        run.save()
        return run

    def resume(self, folder: str | Path, answer: Answer | None = None) -> Run:
        """Go on with a run that was stopped or killed or that waits, with everything as it was asked for then.

        Steps that were done are not done again. A run that is over is returned as it is, and so is one that waits for
        an answer if none is given.

        Raises:
            BadInput: the folder holds no run, another process is working on it, it waits for no answer, or it was
                started with objects that this agent was not given.
        """
        run = Run.load(folder)
        check_links(run.folder)
        needed = {kind: part for kind, part in self._parts.items() if getattr(run.request, kind) != "none"}
        check_same(run.folder, run.request, {} if run.done else needed, f'resume("{folder}")')
        if run.request.planner == AUTO and run.planner and (run.planner == "offline" or not openai_key()):
            # who planned first goes on
            run = run.model_copy(update={"request": run.request.model_copy(update={"planner": run.planner})})
        self._check(run.request)
        check_stored_addresses(run.request)
        self.on_event(Started(folder=run.folder, resumed=True))
        if answer and run.review != "waiting":
            raise BadInput("run", f"{run.folder} waits for no answer")
        if run.done:
            self.on_event(Done(run=run))
            return run
        return self._go(run, answer)

    def edit(self, start: str | Path | Source, words: str, **changes) -> Run:
        """Change a picture in words: what they speak of is painted anew in its place, and nothing else changes.

        ``start`` is the folder of a run, of which the best picture is changed, ``latest``, a picture of any origin, or
        what `agent.edit.source` gives; ``changes`` are fields of `agent.request.Request` that are asked for otherwise.
        The new run names the one it comes from.

        Raises:
            BadInput: there is no such run, or the words cannot be read or speak of what is not there.
        """
        from agent.edit import edit_plan, new_run  # the grammar takes a while to load

        start = self._source(start, words)
        plan = edit_plan(start.plan, words)
        changes = self._check_changes(start, changes)
        return self._start_over(new_run(start, plan, words, self.out, **changes))

    def repair(self, start: str | Path | Source, things: Sequence[str] = (), **changes) -> Run:
        """Paint things of a picture anew in their places; what failed on it, where none is named. Else as `edit`.

        ``things`` are names as in the plan, "lamp", or with their number in it, "lamp 2".

        Raises:
            BadInput: there is no such run or thing, or nothing failed.
        """
        from agent.edit.runs import repair_run

        start = self._source(start)
        changes = self._check_changes(start, changes)
        return self._start_over(repair_run(start, things, self.out, **changes))

    def _source(self, start: str | Path | Source, words: str = "") -> Source:
        """What an edit starts from; a picture of any origin becomes a run of its own first."""
        from agent.edit import edit_plan, source
        from agent.edit.photographs import is_picture, plan_of_picture, run_of_picture

        if not isinstance(start, str | Path):
            return start
        if not words or not is_picture(start):
            return source(start, self.out)
        request = self.request
        if request.verifier == "none":
            raise BadInput("verifier", "a picture of another origin is edited by what a verifier sees on it; name one")
        detector = self._detector(request)
        image, plan = plan_of_picture(Path(start), words, detector)
        edit_plan(plan, words)  # what cannot be obeyed leaves no run behind
        return source(run_of_picture(image, plan, detector, request, self.out, Path(start).stem).folder)

    def _check_changes(self, start: Source, changes: Mapping[str, object]) -> dict[str, Any]:
        """The changes, with what follows from the agent's own parts; unknown names are refused before a folder is made.

        The bundled detector of the pictures before does not look at those of another engine, unless it is named.
        """
        before = start.run.request
        parts: dict[Part, Any] = {"engine": self.engine, "verifier": self.verifier}
        handed: dict[str, Any] = {kind: part.name for kind, part in parts.items() if not isinstance(part, str)}
        changed = {**handed, "own": tuple(kind for kind in self._own if kind in handed), **changes}
        is_other = changed.get("engine", before.engine) != before.engine
        if is_other and before.verifier == "draft" and "verifier" not in changed:
            chosen = (self.verifier, self.verifier_note) if "engine" in handed else default_verifier(changed["engine"])
            changed["verifier"], self.verifier_note = chosen
        left = {kind: part for kind, part in parts.items() if kind not in changed}
        check_same(start.run.folder, before, left, f'edit("{start.run.folder}", ...)')
        request = before.model_copy(update={"planner": "none", "planner_url": None, **changed})
        self._check(request)
        if "verifier_url" not in changes:
            check_stored_addresses(request)
        return changed

    def _start_over(self, run: Run) -> Run:
        self.on_event(Started(folder=run.folder, resumed=False))
        return self._go(run)

    def _go(self, run: Run, answer: Answer | None = None) -> Run:
        from langgraph.types import Command

        request = run.request
        steps = Steps(
            run,
            planner=None if (run.folder / GIVEN).exists() else self._planner(request, run.usage),
            engine=lambda: self._engine(request),
            detector=None if request.verifier == "none" else lambda: self._detector(request),
            size=self._size(request),
            on_event=self.on_event,
            preview_every=self.preview_every,
        )
        config = {"configurable": {"thread_id": "run"}, "recursion_limit": 4 * MAX_ROUNDS + 10}
        with checkpointer(run.folder / CHECKPOINT) as keeper:
            clear_unfinished(run.folder)
            graph = build_graph(steps).compile(checkpointer=keeper)
            before = read_state(graph, config)
            try:
                # not `next`, which leaves out a step that was done when the process died before its checkpoint
                if before.tasks:  # an answer to what was asked, or nothing
                    resumption = Command(resume=answer.model_dump(mode="json")) if answer else None
                    graph.invoke(resumption, config, durability="sync")
                elif not before.values:
                    graph.invoke(NO_STATE, config, durability="sync")
            except ServiceError:
                steps.keep_usage()
                raise
            after = graph.get_state(config)
            if after.next:  # the graph stops before its end only to ask
                return steps.wait()
            run = steps.finish(after.values)
        self.on_event(Done(run=run))
        return run

    def _request(self, prompt: str | None, layout: Layout | None, seed: int | None = None) -> Request:
        prompt = prompt if prompt is not None or layout else self.request.prompt or None
        if (layout is None) == (prompt is None):
            raise BadInput("prompt", "give either a scene in words or a layout" + (", not both" if layout else ""))
        if prompt is not None and not prompt.strip():
            raise BadInput("prompt", 'is empty; say what is on the picture, such as "a cozy living room"')
        changes: dict[str, object] = {"prompt": prompt}
        if layout:
            own = tuple(kind for kind in self._own if kind != "planner")
            changes = {"prompt": layout.caption, "planner": "none", "own": own}
        if seed is not None:
            changes["settings"] = RenderSettings.parse({**dict(self.request.settings), "seed": seed})
        return Request.parse({**dict(self.request), **changes})

    def _check(self, request: Request) -> None:
        """Refuse unknown names before anything heavy is loaded."""
        check_planner_urls(request)
        if isinstance(self.planner, str) and request.planner != "none":
            check_planner(request.planner)
        if isinstance(self.engine, str):
            engine_info(request.engine)
            if request.settings.cascade_strength:
                find_refiner(request.engine, request.refiner)
        else:
            check_abilities(self.engine, request, self.preview_every)
        if isinstance(self.verifier, str):
            check_detector(request.verifier, request.verifier_url, request.verifier_dialect, self.trust_remote_code)

    def _size(self, request: Request) -> tuple[int, int]:
        if request.size:
            return request.size
        return engine_info(request.engine).native_size if isinstance(self.engine, str) else self.engine.native_size

    def _resized(self, layout: Layout) -> Layout:
        return layout.with_size(*self.request.size) if self.request.size else layout

    def _planner(self, request: Request, used: Usage) -> Planner:
        """The planner, with what the run has spent on it before."""
        planner = self._load_planner(request) if isinstance(self.planner, str) else self.planner
        planner.start(used)
        return planner

    def _load_planner(self, request: Request) -> Planner:
        def load() -> Planner:
            return load_planner(
                request.planner,
                cached=request.cache,
                base_url=request.planner_url or None,
                planning=request.planning,
                num_ctx=request.num_ctx,
                max_tokens=request.max_tokens,
                max_usd=request.max_usd,
            )

        limits = (request.num_ctx, request.max_tokens, request.max_usd)
        return self._once((request.planner, request.planner_url, request.planning, request.cache, *limits), load)

    def _engine(self, request: Request) -> Engine:
        """The engine, with the refiner that is named."""
        if not isinstance(self.engine, str):
            return self.engine

        def load() -> Engine:
            self.on_event(Loading(part="engine", name=request.engine))
            return load_engine(request.engine, request.refiner)

        return self._once((request.engine, request.refiner), load)

    def _detector(self, request: Request) -> Detector:
        if not isinstance(self.verifier, str):
            if request.found_score is None:
                return self.verifier
            stricter = copy.copy(self.verifier)  # the caller's own keeps its bar
            stricter.found_score = request.found_score
            return stricter
        options = (request.verifier, request.verifier_url, request.verifier_dialect, self.trust_remote_code)

        def load() -> Detector:
            self.on_event(Loading(part="verifier", name=request.verifier))
            return load_detector(*options, request.found_score)

        return self._once((*options, request.found_score), load)

    def _once(self, key: tuple, load: Callable[[], T]) -> T:
        """What ``load`` gives; with the same key it is called once."""
        if key not in self._loaded:
            self._loaded[key] = load()
        return self._loaded[key]
