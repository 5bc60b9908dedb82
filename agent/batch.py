"""``python -m agent.batch``: a run for every prompt of a file, and their pictures under manifests, for evaluations."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.plans import read_prompts
from instdiff.cli import Parser, exit_code
from instdiff.errors import BadInput, printable
from instdiff.render_settings import RenderSettings

if TYPE_CHECKING:
    from agent.loop import Agent
    from agent.runs import Request, Run
    from evaluators.manifest import Manifest
    from instdiff.engine import Engine

RUNS = "runs"
FIRST = "first"
BEST = "best"
FREE = {"prompt", "settings"}  # fields of a request that differ from run to run
DESCRIPTION = """Run the whole agent for every prompt of a file. FILE holds one prompt a line, or one JSON object {"prompt": "..."} a line.

In the folder --out are then

  runs/   one run for each prompt, as run_agent.py makes them
  first/  the picture of each first round, with a manifest
  best/   the picture of each best round, with a manifest

Evaluations read the manifests. The n-th prompt is painted with seed --seed + n. The same command goes on with what was stopped."""
EXAMPLES = """examples:
  python -m agent.batch prompts.txt --rounds 3 --out outputs/batch
  python -m agent.benchmarks gain --pictures outputs/batch"""


def keep_runs(folder: Path, asked: Request) -> dict[str, Run]:
    """The runs of an earlier start of this command, by prompt.

    Raises:
        BadInput: they were asked for with other settings.
    """
    from agent.runs import Run

    runs = {}
    for path in sorted(folder.glob("*/run.json")):
        run = Run.load(path.parent)
        different = [
            name
            for name in type(asked).model_fields
            if name not in FREE and getattr(run.request, name) != getattr(asked, name)
        ]
        if different:
            there = getattr(run.request, different[0])
            now = getattr(asked, different[0])
            raise BadInput(
                different[0], f"{folder} holds runs with {there}, not {now}; give the same again, or another --out"
            )
        runs[run.request.prompt] = run
    return runs


def run_all(agent: Agent, prompts: list[str], settings: RenderSettings, out: Path) -> tuple[list[Run], list[str]]:
    """Every prompt through the agent, and its pictures into the manifests; returns the runs, and the prompts that
    cannot be planned.

    Args:
        settings: of the first prompt; each next one takes the next seed.

    Raises:
        BadInput: the folder holds runs or pictures of other settings.
        ServiceError: a service that is needed failed; what is done stays.
    """
    from rich.console import Console
    from rich.progress import track

    manifests = open_manifests(agent.engine, agent.request, settings, out)
    done = keep_runs(out / RUNS, agent.request)
    runs = []
    failed = []
    console = Console(stderr=True)
    for number, prompt in enumerate(track(prompts, "running", console=console)):
        own = settings.model_copy(update={"seed": settings.seed + number})
        agent.request = agent.request.model_copy(update={"settings": own})
        try:
            run = agent.resume(done[prompt].folder) if prompt in done else agent.run(prompt)
        except BadInput as error:
            console.print(printable(f"failed: {error}: {prompt}"), markup=False, highlight=False)
            failed.append(prompt)
            continue
        if run.request.settings != own:
            raise BadInput(
                "seed",
                f"{run.folder} has seed {run.request.settings.seed}, not {own.seed}; give the same prompts and"
                " settings",
            )
        runs.append(run)
        manifests = keep_pictures(run, manifests, out)
    return runs, failed


def open_manifests(engine: Engine, asked: Request, settings: RenderSettings, out: Path) -> dict[str, Manifest]:
    """The manifests of the first and the best pictures, as far as they are.

    Raises:
        BadInput: pictures there were painted with something else.
    """
    from evaluators.manifest import open_manifest, painted_with

    chosen = {key: value for key, value in settings if value is not None}
    whole = RenderSettings.parse({**dict(engine.defaults), **chosen})
    about = {"planner": asked.planner, "verifier": asked.verifier, "images": settings.num_images, "seed": settings.seed}
    rounds = {FIRST: 1, BEST: asked.rounds}
    return {
        name: open_manifest(out / name, painted_with(engine, whole, **about, rounds=rounds[name])) for name in rounds
    }


def keep_pictures(run: Run, manifests: dict[str, Manifest], out: Path) -> dict[str, Manifest]:
    """Copy the pictures of the first and of the best round, and enter them into the manifests."""
    from agent.runs import copy_whole
    from evaluators.manifest import Job, prompt_key, with_pictures
    from instdiff.formats.png import read_png

    key = prompt_key(run.request.prompt)
    kept = {}
    for name, one in ((FIRST, run.rounds[0]), (BEST, run.best)):
        kept[name] = manifests[name]
        if key not in kept[name].keys:
            (out / name).mkdir(parents=True, exist_ok=True)
            copy_whole(run.folder / one.image, out / name / f"{key}.png")
            layout, painted = read_png(run.folder / one.image)
            kept[name] = with_pictures(kept[name], out / name, [Job(key, layout, painted["seed"])])
    return kept


def main(argv: list[str] | None = None) -> int:
    """Run all prompts; returns the exit code."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m agent.batch", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("file", metavar="FILE", type=Path, help="the prompts")
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="paint each prompt at most so often (default: %(default)s)"
    )
    parser.add_argument(
        "--images", type=int, default=1, metavar="N", help="pictures per round, of which the best is kept (default: 1)"
    )
    parser.add_argument(
        "--planner", default="offline", metavar="NAME", help="who plans (default: offline); see run_agent.py --help"
    )
    parser.add_argument("--planner-url", metavar="URL", help="an OpenAI-compatible endpoint for the planner")
    parser.add_argument("--engine", default="draft", metavar="NAME", help="what paints (default: draft)")
    parser.add_argument("--verifier", default="draft", metavar="NAME", help="the detector in the loop (default: draft)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first prompt (default: 0)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("outputs/batch"),
        metavar="FOLDER",
        help="where all goes (default: %(default)s)",
    )
    return exit_code(lambda: run(parser.parse_args(argv)))


def run(args: argparse.Namespace) -> int:
    """The command; what came of it is printed as JSON."""
    prompts = read_prompts(args.file)
    settings = RenderSettings.parse({"seed": args.seed, "num_images": args.images})
    from agent.benchmarks.showcase import shares

    runs, failed = run_prompts(
        prompts,
        settings,
        args.out,
        planner=args.planner,
        planner_url=args.planner_url,
        engine=args.engine,
        verifier=args.verifier,
        rounds=args.rounds,
    )
    summary = {"out": str(args.out), "prompts": len(prompts), "failed": failed, **shares(runs)}
    print(json.dumps(summary, indent=1, ensure_ascii=False))
    return 0


def run_prompts(
    prompts: list[str],
    settings: RenderSettings,
    out: Path,
    *,
    planner: str,
    planner_url: str | None,
    engine: str,
    verifier: str,
    rounds: int,
) -> tuple[list[Run], list[str]]:
    """`run_all` with an agent of these names, which are checked before anything is loaded.

    Raises:
        BadInput: one of the names is not known, or none of the prompts can be planned.
        ServiceError: a service that is needed failed; what is done stays.
    """
    from agent.loop import Agent
    from evaluators.detectors import check_detector
    from instdiff.engine import engine_info, load_engine

    engine_info(engine)
    if verifier != "none":
        check_detector(verifier)
    agent = Agent(
        planner=planner,
        planner_url=planner_url,
        engine=load_engine(engine),
        verifier=verifier,
        rounds=rounds,
        settings=settings,
        out=out / RUNS,
    )
    runs, failed = run_all(agent, prompts, settings, out)
    if not runs:
        raise BadInput("prompts", "none of them can be planned")
    return runs, failed


if __name__ == "__main__":
    sys.exit(main())
