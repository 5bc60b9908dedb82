"""plan → criticise → render → verify → revise, until everything is found or the rounds are spent."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from agent.critic.critic import criticise, criticise_and_replan
from agent.events import Done, Event, Loading, Started
from agent.graph import build_graph, checkpointer, read_state
from agent.planners import Planner, check_planner, load_planner, server_of
from agent.planners.plan import Plan
from agent.request import AUTO, MAX_ROUNDS, Request
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
from instdiff.settings import openai_base_url, openai_key, verifier_key, verifier_url
from prompts.usage import Usage

if TYPE_CHECKING:
    from agent.edit import Source

CHECKPOINT = "checkpoint.sqlite"
OnEvent = Callable[[Event], None]
T = TypeVar("T")


class Agent:
    """From a sentence to a verified picture. The best round is the result, not the last.

    Planner, engine and verifier are names, or objects with the same methods as what those names load. They are
    loaded when they are needed and kept for the next run.

    Args:
        request: what runs are asked for; its fields can be given one by one as well, such as ``rounds=2``.
        planner: a name (see `agent.planners.load_planner`) or a planner.
        engine: a name (see `instdiff.engine.load_engine`) or an engine.
        verifier: a name (see `evaluators.detectors.load_detector`) or a detector; ``none`` verifies nothing and stops
            after one round. ``auto`` takes the bundled one for the draft engine, and else an open-vocabulary detector
            if its weights are on this machine; ``verifier_note`` says which.
        out: the folder that gets a new folder for each run.
        on_event: is given each event, see `agent.events`.
        trust_remote_code: let the code run that comes with the verifier ``cogvlm``; no run remembers this.
        preview_every: denoising steps between two `agent.events.PreviewReady`; 0 makes none.
        options: fields of `agent.request.Request`.

    Raises:
        BadInput: a name is not known, or a value is out of range.
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
        self.planner = planner or request.planner
        self.engine = engine or request.engine
        self.verifier = verifier or request.verifier
        self.verifier_note = ""
        if self.verifier == AUTO:
            name = self.engine if isinstance(self.engine, str) else "draft"
            self.verifier, self.verifier_note = default_verifier(name)
        self.out = Path(out)
        self.on_event = on_event or (lambda event: None)
        self.trust_remote_code = trust_remote_code
        self.preview_every = preview_every
        parts = {"planner": self.planner, "engine": self.engine, "verifier": self.verifier}
        names = {field: _name(part) for field, part in parts.items()}
        self.request = Request.parse({**dict(request), **options, **names})
        self._loaded: dict[tuple, Any] = {}
        self._check(self.request)

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
            BadInput: the folder holds no run, another process is working on it, or it waits for no answer.
        """
        run = Run.load(folder)
        check_links(run.folder)
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
        self._check_changes(start, changes)
        return self._start_over(new_run(start, plan, words, self.out, **changes))

    def repair(self, start: str | Path | Source, things: Sequence[str] = (), **changes) -> Run:
        """Paint things of a picture anew in their places; what failed on it, where none is named. Else as `edit`.

        ``things`` are names as in the plan, "lamp", or with their number in it, "lamp 2".

        Raises:
            BadInput: there is no such run or thing, or nothing failed.
        """
        from agent.edit.runs import repair_run

        start = self._source(start)
        self._check_changes(start, changes)
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

    def _check_changes(self, start: Source, changes: Mapping[str, object]) -> None:
        """Refuse unknown names before a folder is made."""
        request = start.run.request.model_copy(update={"planner": "none", "planner_url": None, **changes})
        self._check(request)
        if "verifier_url" not in changes:
            check_stored_addresses(request)

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
                if before.next:  # an answer to what was asked, or nothing
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
        changes: dict[str, object] = {"prompt": layout.caption, "planner": "none"} if layout else {"prompt": prompt}
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
        if isinstance(self.verifier, str) and request.verifier != "none":
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


def _name(part) -> str:
    """The name of a planner, engine or detector that was named or handed in."""
    return part if isinstance(part, str) else getattr(part, "name", type(part).__name__)


def planner_urls(request: Request) -> list[str]:
    """The planner's addresses in a request: ``--planner-url``, and the one in a name such as ``chat:MODEL@URL``."""
    return [url for url in (request.planner_url, server_of(request.planner)) if url]


def check_planner_urls(request: Request) -> None:
    """Raise BadInput for what is no address, or holds a secret."""
    try:
        servers = [urlsplit(url).netloc for url in planner_urls(request)]
    except ValueError as error:
        raise BadInput("planner_url", f"this is no address ({error})") from error
    if any("@" in server for server in servers):
        secret = "holds a user name or password, which would land in run.json"
        raise BadInput("planner_url", f"{secret}; set OPENAI_API_KEY instead")


def check_stored_addresses(request: Request) -> None:
    """A folder from somebody else must not choose the server that is sent the user's key.

    Raises:
        BadInput: the folder names a server elsewhere, a key is set, and its owner has not named the server as well.
    """
    for url in planner_urls(request) if openai_key() else []:
        if not _is_local(url) and url != openai_base_url():
            cure = "set OPENAI_BASE_URL to that address if OPENAI_API_KEY may be sent there"
            raise BadInput("run", f"its planner is at {url}; {cure}")
    verifier = request.verifier_url
    if verifier and verifier_key() and not _is_local(verifier) and verifier != verifier_url():
        cure = "set INSTDIFF_VERIFIER_URL to that address if your key may be sent there"
        raise BadInput("run", f"its verifier is at {verifier}; {cure}")


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
