"""plan → criticise → render → verify → revise, until everything is found or the rounds are spent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.addresses import check_planner_urls, check_stored_addresses
from agent.critic import criticise
from agent.critic.replan import settled
from agent.events import Done, Event, Loading, Started
from agent.graph import build_graph, checkpointer, read_state
from agent.planners import check_planner, check_prompt, load_planner
from agent.planners.plan import Plan
from agent.runs import GIVEN, MAX_ROUNDS, Answer, Request, Run, check_links, clear_unfinished, new_folder
from agent.steps import Steps
from evaluators.detectors import check_detector, default_verifier, load_detector
from instdiff.engine import engine_info, load_engine
from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Layout
from instdiff.model.refine import find_refiner
from instdiff.render_settings import RenderSettings
from instdiff.settings import openai_key
from prompts.usage import Usage

if TYPE_CHECKING:
    from agent.edit import Source

CHECKPOINT = "checkpoint.sqlite"


class Agent:
    """From a sentence to a verified picture. The best round is the result, not the last.

    Planner, engine and verifier are names, or objects with the same methods as what those names load. They are
    loaded when they are needed and kept for the next run.

    Args:
        planner: ``auto``, ``offline``, or a chat model such as ``openai:gpt-4o`` (see `agent.planners.load_planner`).
        engine: what paints.
        verifier: the detector that looks at the pictures (see `evaluators.detectors.load_detector`); ``none`` verifies
            nothing and stops after one round. None takes the bundled one for the draft engine, and else an
            open-vocabulary detector if its weights are on this machine; ``verifier_note`` says which.
        rounds: how many times to paint at most.
        size: (width, height) in pixels; None takes the engine's own size, or that of a given layout.
        settings: seed, steps and so on; each round paints with seeds of its own, starting at ``settings.seed``.
        out: the folder that gets a new folder for each run.
        iou_threshold: from this IoU on an instance is in its place.
        on_event: is told what happens, see `agent.events`.
        planner_url: an OpenAI-compatible endpoint for the chat planner.
        planning: what a chat model is asked for: ``scene`` (things in metres, placed by our camera) or ``boxes``.
        cache: take a chat model's answers from the user's cache folder, and keep them there.
        max_tokens, max_usd: what the chat model may take for one run.
        verifier_url: the service of the verifier ``vlm:MODEL``.
        verifier_dialect: how that model writes boxes, if its name does not tell.
        trust_remote_code: let the code run that comes with the verifier ``cogvlm``; no run remembers this.
        review: stop after the first plan and wait for a person's answer, which `resume` takes.
        preview_every: denoising steps between two `agent.events.Preview`; 0 makes none.
        refiner: the folder of the refiner that ``settings.cascade_strength`` asks for; None takes the engine's own.

    Raises:
        BadInput: a name is not known, or a value is out of range.
    """

    def __init__(
        self,
        planner="auto",
        engine="draft",
        verifier=None,
        rounds: int = 3,
        size: tuple[int, int] | None = None,
        settings: RenderSettings | None = None,
        out: str | Path = Path("outputs"),
        iou_threshold: float = 0.5,
        on_event: Callable[[Event], None] | None = None,
        planner_url: str | None = None,
        planning: str = "scene",
        cache: bool = True,
        max_tokens: int | None = None,
        max_usd: float | None = None,
        verifier_url: str | None = None,
        verifier_dialect: str | None = None,
        trust_remote_code: bool = False,
        review: bool = False,
        preview_every: int = 0,
        refiner: str | None = None,
    ):
        self.verifier_note = ""
        self.trust_remote_code = trust_remote_code
        self.preview_every = preview_every
        if verifier is None:
            verifier, self.verifier_note = default_verifier(engine if isinstance(engine, str) else "draft")
        self.planner = planner
        self.engine = engine
        self.verifier = verifier
        self.out = Path(out)
        self.on_event = on_event or (lambda event: None)
        names = {
            "planner": _name(planner),
            "engine": _name(engine),
            "verifier": _name(verifier),
            "planner_url": planner_url,
        }
        names["refiner"] = refiner
        values = {
            "rounds": rounds,
            "size": size,
            "settings": settings or RenderSettings(),
            "iou_threshold": iou_threshold,
        }
        chat = {"planning": planning, "cache": cache, "max_tokens": max_tokens, "max_usd": max_usd}
        looks = {"verifier_url": verifier_url, "verifier_dialect": verifier_dialect, "review": review}
        self.request = Request.parse({"prompt": "", **names, **values, **chat, **looks})
        self._loaded: dict[tuple, object] = {}
        self._check(self.request)

    def plan(self, prompt: str | None = None, layout: Layout | None = None) -> Plan:
        """The first plan alone, as it would be painted, with what the critic found in its notes. Takes what `run`
        takes.
        """
        request = self._request(prompt, layout)
        if layout:
            plan = Plan(layout=self._resized(layout), planner="none", notes=("the layout was given",))
            return criticise(plan, repair=False).noted()
        planner = self._planner(request)
        seed = request.settings.seed
        return settled(planner.plan(request.prompt, self._size(request), seed), request.prompt, planner, seed).noted()

    def run(self, prompt: str | None = None, layout: Layout | None = None) -> Run:
        """Plan, paint and look, round after round.

        Args:
            prompt: the scene in words.
            layout: what to paint, instead of a prompt. No planner is asked then; further rounds keep the places
                and change the seed alone.

        Returns:
            The finished run; its folder holds everything.

        Raises:
            BadInput: neither or both are given, or the engine cannot paint this.
            ServiceError: the planner or another needed service failed. `resume` goes on from there.
        """
        run = self.prepare(prompt, layout)
        self.on_event(Started(run.folder, resumed=False))
        return self._go(run)

    def prepare(self, prompt: str | None = None, layout: Layout | None = None) -> Run:
        """A new run that has its folder and nothing else: any process can `resume` it. Takes what `run` takes."""
        request = self._request(prompt, layout)
        if layout is None:
            check_prompt(self._planner(request), request.prompt)
        folder = new_folder(self.out, request.prompt)
        if layout:
            self._resized(layout).to_file(folder / GIVEN)
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
        if (
            run.request.planner == "auto" and run.planner and (run.planner == "offline" or not openai_key())
        ):  # who began goes on
            run = run.model_copy(update={"request": run.request.model_copy(update={"planner": run.planner})})
        self._check(run.request)
        check_stored_addresses(run.request)
        self.on_event(Started(run.folder, resumed=True))
        if answer and run.review != "waiting":
            raise BadInput("run", f"{run.folder} waits for no answer")
        if run.done:
            self.on_event(Done(run))
            return run
        return self._go(run, answer)

    def edit(self, start: str | Path | Source, words: str, **changes) -> Run:
        """Change the best picture of a run in words; noise and settings stay, and so does what is not spoken of.

        ``start`` is the folder of the run, ``latest``, or what `agent.edit.source` gives; ``changes`` are fields of
        `agent.runs.Request` that are asked for otherwise. The new run names the one it comes from.

        Raises:
            BadInput: there is no such run, or the words cannot be read or speak of what is not there.
        """
        from agent.edit import Source, edited, new_run, source  # the grammar takes a while to load

        start = start if isinstance(start, Source) else source(start, self.out)
        plan = edited(start.plan, words)
        request = start.run.request.model_copy(update={"planner": "none", "planner_url": None, **changes})
        self._check(request)
        if "verifier_url" not in changes:
            check_stored_addresses(request)
        run = new_run(start, plan, words, self.out, **changes)
        self.on_event(Started(run.folder, resumed=False))
        return self._go(run)

    def _go(self, run: Run, answer: Answer | None = None) -> Run:
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
                if before.next:
                    graph.invoke(_resumption(answer), config, durability="sync")
                elif not before.values:
                    graph.invoke(
                        {"plan": {}, "findings": [], "painted": {}, "rounds": [], "seconds": {}},
                        config,
                        durability="sync",
                    )
            except ServiceError:
                steps.keep_usage()
                raise
            after = graph.get_state(config)
            if after.next:  # the graph stops before its end only to ask
                return steps.wait()
            run = steps.finish(after.values)
        self.on_event(Done(run))
        return run

    def _request(self, prompt: str | None, layout: Layout | None) -> Request:
        if (layout is None) == (prompt is None):
            raise BadInput("prompt", "give either a scene in words or a layout" + (", not both" if layout else ""))
        if layout is None and not prompt.strip():
            raise BadInput("prompt", 'is empty; say what is on the picture, such as "a cozy living room"')
        changes = {"prompt": prompt} if layout is None else {"prompt": layout.caption, "planner": "none"}
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
            check_detector(request.verifier, **self._looks(request))

    def _size(self, request: Request) -> tuple[int, int]:
        if request.size:
            return request.size
        return engine_info(request.engine).native_size if isinstance(self.engine, str) else self.engine.native_size

    def _resized(self, layout: Layout) -> Layout:
        return layout.resized(*self.request.size) if self.request.size else layout

    def _planner(self, request: Request, used: Usage | None = None):
        """The planner, with what the run has spent on it before."""
        chat = {"planning": request.planning, "max_tokens": request.max_tokens, "max_usd": request.max_usd}
        options = {"base_url": request.planner_url or None, "cached": request.cache, **chat}
        key = ("planner", request.planner, *options.values())
        planner = self._load(self.planner, key, lambda name: load_planner(name, **options))
        if getattr(planner, "used", None) is not None:
            planner.used = used or Usage()
        return planner

    def _engine(self, request: Request):
        """The engine, with the refiner that is named."""
        options = {"refiner": request.refiner} if request.refiner else {}
        return self._load(
            self.engine, ("engine", request.engine, request.refiner), lambda name: load_engine(name, **options)
        )

    def _detector(self, request: Request):
        options = self._looks(request)
        return self._load(
            self.verifier,
            ("verifier", request.verifier, *options.values()),
            lambda name: load_detector(name, **options),
        )

    def _looks(self, request: Request) -> dict:
        """The options of the verifier that are given."""
        options = {
            "url": request.verifier_url,
            "dialect": request.verifier_dialect,
            "trust_remote_code": self.trust_remote_code,
        }
        return {name: value for name, value in options.items() if value}

    def _load(self, part, key: tuple, load: Callable[[str], object]):
        """The object that was handed in, or what a name loads: once."""
        if not isinstance(part, str):
            return part
        if key not in self._loaded:
            if key[0] != "planner":  # those are there at once
                self.on_event(Loading(*key[:2]))
            self._loaded[key] = load(key[1])
        return self._loaded[key]


def _resumption(answer: Answer | None):
    """What LangGraph is given to go on: an answer to what it asked, or nothing."""
    from langgraph.types import Command

    return Command(resume=answer.model_dump(mode="json")) if answer else None


def _name(part) -> str:
    """The name of a planner, engine or detector that was named or handed in."""
    return part if isinstance(part, str) else getattr(part, "name", type(part).__name__)
