"""``python -m agent.plans``: a layout for every prompt of a file, as JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from agent.planners import Planner, load_planner
from agent.request import Request, parse_size, read_prompts
from instdiff.cli import DONE, Parser, add_options, exit_code, output_file
from instdiff.errors import MAX_FAILURES, BadInput, InstDiffError, ServiceError
from instdiff.formats import layout_to_json
from instdiff.formats.files import parse_json, read_bytes, write_bytes

SIZE = (512, 512)
DESCRIPTION = """Plan every prompt of a file; the same as instdiff-agent plan --prompts FILE.

FILE holds one prompt a line, or one JSON object {"prompt": "..."} a line.

Written is one JSON object a line: {"prompt", "layout", "planner", "notes", "seed", "seconds"} with the layout in the
JSON of InstanceDiffusion, or {"prompt", "error", ...} where no plan could be made. With --out, prompts that have a plan
in that file are not planned again, so that the same command goes on with what was stopped."""


def keep_done(path: Path, seed: int, size: tuple[int, int]) -> set[str]:
    """The prompts that have a plan, or an error of their own, in an earlier output; what else is in it is dropped.

    Raises:
        BadInput: the file was written with another seed or size, or is something else.
    """
    if not path.exists():
        return set()
    finished = []
    done = set()
    lines = read_bytes(path).decode("utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines[:-1], 1):  # what follows the last line end is torn, or nothing
        data = parse_json(line, f"{path} line {number}")
        if not isinstance(data, dict) or "prompt" not in data or "seed" not in data:
            raise BadInput("out", f"{path} line {number} is no plan of this command; give another file")
        before = (data["seed"], data.get("size"))
        now = (seed, list(size))
        if before != now:
            raise BadInput("out", f"{path} holds plans with seed and size {before}, not {now}; give another file")
        if not data.get("again"):
            finished.append(line + "\n")
            done.add(data["prompt"])
    write_bytes(path, "".join(finished).encode())
    return done


def plan_line(planner: Planner, prompt: str, size: tuple[int, int], seed: int) -> dict:
    """One line of the output. ``again`` marks an error of the service, which is worth another try."""
    started = time.perf_counter()
    line: dict = {"prompt": prompt}
    try:
        plan = planner.plan(prompt, size, seed)
        line |= {"layout": layout_to_json(plan.layout), "planner": plan.planner, "notes": list(plan.notes)}
    except InstDiffError as error:
        line |= {"error": str(error), "again": isinstance(error, ServiceError)}
    return {**line, "seed": seed, "size": list(size), "seconds": round(time.perf_counter() - started, 4)}


def write_plans(planner: Planner, prompts: list[str], size: tuple[int, int], seed: int, out: Path | None) -> None:
    """Plan and write line by line, to a file or to stdout, with a progress bar on stderr."""
    from evaluators.reporting import progress_bar

    done = keep_done(out, seed, size) if out else set()
    todo = [prompt for prompt in prompts if prompt not in done]
    failures = 0
    stream = out.open("a", encoding="utf-8") if out else sys.stdout
    try:
        with progress_bar() as bar:
            for prompt in bar.track(todo, description="planning"):
                line = plan_line(planner, prompt, size, seed)
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                stream.flush()
                failures = failures + 1 if line.get("again") else 0
                if failures == MAX_FAILURES:
                    raise ServiceError(f"{failures} prompts in a row failed; the last: {line['error']}")
    finally:
        if out:
            stream.close()


def plan_file(
    file: Path,
    planner: str = "offline",
    planner_url: str | None = None,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    out: Path | None = None,
) -> None:
    """Plan every prompt of a file.

    Args:
        planner, planner_url: who plans, as `agent.planners.load_planner` takes it.
        size: of all plans, (width, height) in pixels.
        out: gets the lines; None prints them.

    Raises:
        BadInput: the file holds no prompts, the planner is not known, or ``out`` holds something else.
        ServiceError: the planner failed several times in a row; what is done stays in ``out``.
    """
    prompts = read_prompts(file)
    write_plans(load_planner(planner, base_url=planner_url), prompts, size, seed, out)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m agent.plans", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("file", metavar="FILE", type=Path, help="the prompts")
    who = "who plans (default: offline); see instdiff-agent plan --help"
    parser.add_argument("--planner", default="offline", metavar="NAME", help=who)
    add_options(parser, Request, ("planner_url",))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the plans (default: 0)")
    parser.add_argument("--size", type=parse_size, default=SIZE, metavar="WxH", help="pixels (default: 512x512)")
    parser.add_argument("--out", type=output_file, metavar="FILE", help="where the lines go (default: stdout)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Plan all prompts; returns the exit code."""

    def work() -> int:
        plan_file(**vars(build_parser().parse_args(argv)))
        return DONE

    return exit_code(work)


if __name__ == "__main__":
    sys.exit(main())
