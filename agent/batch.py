"""``python -m agent.batch``: a run for every prompt of a file, and their pictures under manifests, for evaluations."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.benchmarks.showcase import shares
from agent.request import Request, read_prompts
from agent.runs import Run, copy_whole
from evaluators.manifest import Job, Manifest, open_manifest, painted_with, prompt_key, with_pictures
from instdiff.cli import DONE, Parser, add_options, exit_code, given_values, options, output_folder, parse_values
from instdiff.engine import BatchEngine, load_engine
from instdiff.errors import BadInput, printable
from instdiff.formats.png import read_png
from instdiff.render_settings import RenderSettings

if TYPE_CHECKING:
    from agent.loop import Agent

OUT = Path("outputs/batch")
RUNS = "runs"
FIRST = "first"
BEST = "best"
FREE = {"prompt", "settings"}  # fields of a request that differ from run to run
RUN_FLAGS = ("planner", "planner_url", "engine", "verifier", "rounds", "seed", "images")
DESCRIPTION = """Run the whole agent for every prompt of a file; the same as instdiff-agent make --prompts FILE.

FILE holds one prompt a line, or one JSON object {"prompt": "..."} a line.

In the folder --out are then

  runs/   one run for each prompt, as instdiff-agent make makes them
  first/  the picture of each first round, with a manifest
  best/   the picture of each best round, with a manifest

Evaluations read the manifests. The n-th prompt is painted with seed --seed + n. The same command goes on with what was
stopped."""
EXAMPLES = """examples:
  python -m agent.batch prompts.txt --rounds 3 --out outputs/batch
  instdiff-agent evaluate gain --pictures outputs/batch"""


def keep_runs(folder: Path, request: Request) -> dict[str, Run]:
    """The runs of an earlier start of this command, by prompt.

    Raises:
        BadInput: they were asked for with other settings.
    """
    runs = {}
    for path in sorted(folder.glob("*/run.json")):
        run = Run.load(path.parent)
        for name, before in run.request:
            now = getattr(request, name)
            if name not in FREE and before != now:
                cure = "give the same again, or another --out"
                raise BadInput(name, f"{folder} holds runs with {before}, not {now}; {cure}")
        runs[run.request.prompt] = run
    return runs


def build_request(flags: Mapping[str, Any], only: Collection[str] | None = None) -> Request:
    """What each run is asked for, by all flags or these. No planner named is offline, so that all runs are alike."""
    return parse_values(Request, given_values(Request, {"planner": "offline", **flags}, only))


def run_prompts(prompts: list[str], request: Request, out: Path) -> tuple[list[Run], list[str]]:
    """`run_all` with an agent for what is asked for; names are checked before anything is loaded.

    Raises:
        BadInput: a name is not known, or none of the prompts can be planned.
        ServiceError: a service that is needed failed; what is done stays.
    """
    from agent.loop import Agent  # benchmarks read the pictures of a batch without it

    request = Agent(request).request
    engine = load_engine(request.engine)
    runs, failed = run_all(Agent(request, engine=engine, out=out / RUNS), engine, prompts, out)
    if not runs:
        raise BadInput("prompts", "none of them can be planned")
    return runs, failed


def run_all(agent: Agent, engine: BatchEngine, prompts: list[str], out: Path) -> tuple[list[Run], list[str]]:
    """Every prompt through the agent, and its pictures into the manifests; returns the runs, and the prompts that
    cannot be planned. The first prompt has the seed of the agent's settings, each next one the next seed.

    Raises:
        BadInput: the folder holds runs or pictures of other settings.
        ServiceError: a service that is needed failed; what is done stays.
    """
    from evaluators.reporting import progress_bar

    settings = agent.request.settings
    manifests = open_manifests(engine, agent.request, out)
    done = keep_runs(out / RUNS, agent.request)
    runs = []
    failed = []
    with progress_bar() as bar:
        for seed, prompt in enumerate(bar.track(prompts, description="running"), settings.seed):
            try:
                run = agent.resume(done[prompt].folder) if prompt in done else agent.run(prompt, seed=seed)
            except BadInput as error:
                print(printable(f"failed: {error}: {prompt}"), file=sys.stderr)
                failed.append(prompt)
                continue
            if run.request.settings != settings.model_copy(update={"seed": seed}):
                before = f"{run.folder} has seed {run.request.settings.seed}, not {seed}"
                raise BadInput("seed", f"{before}; give the same prompts and settings")
            runs.append(run)
            manifests = keep_pictures(run, manifests, out)
    return runs, failed


def open_manifests(engine: BatchEngine, request: Request, out: Path) -> dict[str, Manifest]:
    """The manifests of the first and the best pictures, as far as they are.

    Raises:
        BadInput: pictures there were painted with something else.
    """
    settings = request.settings
    chosen = {name: value for name, value in settings if value is not None}
    complete = RenderSettings.parse({**dict(engine.defaults), **chosen})
    expected = painted_with(engine, complete, planner=request.planner, verifier=request.verifier)
    expected |= {"images": settings.num_images, "seed": settings.seed}
    every = {FIRST: 1, BEST: request.rounds}
    return {name: open_manifest(out / name, {**expected, "rounds": rounds}) for name, rounds in every.items()}


def keep_pictures(run: Run, manifests: dict[str, Manifest], out: Path) -> dict[str, Manifest]:
    """Copy the pictures of the first and of the best round, and enter them into the manifests."""
    if run.best is None:
        return manifests
    key = prompt_key(run.request.prompt)
    extended = dict(manifests)
    for name, chosen in ((FIRST, run.rounds[0]), (BEST, run.best)):
        if key not in manifests[name].keys:
            (out / name).mkdir(parents=True, exist_ok=True)
            copy_whole(run.folder / chosen.image, out / name / f"{key}.png")
            layout, painted = read_png(run.folder / chosen.image)
            extended[name] = with_pictures(manifests[name], out / name, [Job(key, layout, painted["seed"])])
    return extended


def run_flags(flags: Mapping[str, Any]) -> int:
    """What `make --prompts` asks for; what came of it is printed as JSON. Returns the exit code.

    Raises:
        BadInput: a flag makes no sense for many prompts, or see `run_prompts`.
    """
    known = {option.key for option in options(Request)} - {"review"}
    if wrong := flags.keys() - known - {"prompts", "out", "json", "quiet"}:
        raise BadInput(min(wrong), "cannot be used together with --prompts; drop it")
    prompts = read_prompts(flags["prompts"])
    out = flags.get("out", OUT)
    runs, failed = run_prompts(prompts, build_request(flags), out)
    summary = {"out": str(out), "prompts": len(prompts), "failed": failed, **shares(runs)}
    if not flags.get("quiet"):
        print(json.dumps(summary, indent=1, ensure_ascii=False))
    return DONE


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m agent.batch", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw)
    parser.add_argument("prompts", metavar="FILE", type=Path, help="the prompts")
    add_options(parser, Request, RUN_FLAGS)
    parser.set_defaults(planner="offline")
    folder = "where all goes (default: %(default)s)"
    parser.add_argument("--out", type=output_folder, default=OUT, metavar="FOLDER", help=folder)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run all prompts; returns the exit code."""
    return exit_code(lambda: run_flags(vars(build_parser().parse_args(argv))))


if __name__ == "__main__":
    sys.exit(main())
