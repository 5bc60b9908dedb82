"""``python -m evaluators``: measure plans against what their prompts ask for, and pictures against their layouts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from agent.benchmarks import gain, lmd, plan_checks, planned_layouts
from evaluators import alignment, clip, fid, pim, ratings, report_page
from evaluators.coco import attributes_command, command
from evaluators.draft import benchmark as draft
from evaluators.layout_statistics import Statistics, statistics
from instdiff.cli import Parser
from instdiff.errors import BadInput, InstDiffError, ServiceError, printable
from instdiff.formats.files import write_bytes

BAD_INPUT = 2
SERVICE_FAILED = 4
INTERRUPTED = 130
EXAMPLES = """examples:
  python -m evaluators lmd --stage layout
  python -m evaluators lmd --stage layout --planner ollama:llama3.1 --json
  python -m evaluators plan prompts.jsonl --compare layouts/
  python -m evaluators draft --places box,mask --count 50 --ablations

exit codes: 0 done, 2 bad input, 4 a service that is needed failed"""
OVER_PICTURES = {  # each with add_arguments, run and HELP
    "coco": (command, "pictures painted from COCO annotations: AP and AR of boxes and masks"),
    "pim": (pim, "points in mask: do things lie where points and scribbles put them?"),
    "attributes": (attributes_command, "do things have the colour or texture that was asked for?"),
    "fid": (fid, "how far painted pictures are from real ones, as a whole"),
    "clip": (clip, "CLIP score of pictures and their captions"),
    "alignment": (alignment, "boxes that a model reports against the boxes of the plan"),
    "judge": (ratings, "a vision-language model rates pictures from 1 to 5"),
    "gain": (gain, "what the rounds of the loop gain"),
    "report": (report_page, "one page of all results"),
}
LMD_HELP = """The LMD benchmark: 250 prompts that count 400 times. Stage "layout" asks of each layout:

  negation     no instance of the object
  numeracy     exactly the number
  attribution  an instance with each colour and object together
  spatial      the box centres lie as the words say

The layouts that GPT-4 wrote for the benchmark are scored beside. Stage "image" asks the same of what a detector sees on the
pictures that are painted from the plans."""
PLAN_HELP = """Your own prompts with checks. FILE holds one JSON object a line:

  {"prompt": "two cats on a red couch, no dogs", "checks": [{"count": ["cat", 2]}, {"absent": ["dog"]},
   {"attr": ["red", "couch"]}, {"rel": ["cat", "on", "couch"]}]}

  {"count": ["cat", 2]}            exactly 2       {"type": "count", "object": "cat", "n": 2} says the same
  {"min": ["tree", 2]}             at least 2
  {"absent": ["dog"]}              none
  {"attr": ["red", "car"]}         a car whose caption says red
  {"objects": ["cat", "dog"]}      all of these
  {"rel": ["cat", "on", "chair"]}  every cat is on a chair
  {"rel": ["sun", "at the top"]}   a place on the picture
  {"rel": ["ball", "between", ["cat", "dog"]]}

Names are whole words, singular or plural; "couch" means a sofa too, "black cat" only the black ones. Relations:
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command for each evaluation."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="python -m evaluators", description=__doc__, epilog=EXAMPLES, formatter_class=raw)
    commands = parser.add_subparsers(dest="evaluation", required=True, metavar="EVALUATION")
    lmd_parser = commands.add_parser(
        "lmd", help="the 400 prompts of the LMD benchmark", description=LMD_HELP, formatter_class=raw
    )
    lmd.add_arguments(lmd_parser)
    words = ", ".join(("between", *plan_checks.RELATION_WORDS))
    plan_parser = commands.add_parser(
        "plan", help="your own prompts with checks", description=f"{PLAN_HELP}  {words}", formatter_class=raw
    )
    plan_parser.add_argument("file", metavar="FILE", type=Path, help="prompts with checks, one JSON object a line")
    plan_parser.add_argument(
        "--compare", type=Path, metavar="PATH", help="print statistics beside those of these layouts: a folder or file"
    )
    for one in (lmd_parser, plan_parser):
        one.add_argument(
            "--planner", default="offline", metavar="NAME", help="who plans (default: offline); see run_agent.py --help"
        )
        one.add_argument("--planner-url", metavar="URL", help="an OpenAI-compatible endpoint for the planner")
        one.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the plans (default: 0)")
        one.add_argument(
            "--layouts", type=Path, metavar="FILE", help="score these, written by python -m agent.plans; plan nothing"
        )
        one.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
        one.add_argument("--out", type=Path, metavar="FILE", help="write the JSON here too")
    summary = "the bundled painter: 500 held-out layouts"
    draft.add_arguments(commands.add_parser("draft", help=summary, description=draft.HELP, formatter_class=raw))
    for name, (module, summary) in OVER_PICTURES.items():
        module.add_arguments(commands.add_parser(name, help=summary, description=module.HELP, formatter_class=raw))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Score and print; returns the exit code."""
    try:
        args = build_parser().parse_args(argv)
        others = {name: command.run for name, (command, _) in OVER_PICTURES.items()}
        result = {"lmd": _lmd, "plan": _plan, "draft": draft.run, **others}[args.evaluation](args)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        if args.out:
            write_bytes(args.out, (text + "\n").encode())
        if args.json:
            print(text)
        else:
            _show(result)
    except InstDiffError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return SERVICE_FAILED if isinstance(error, ServiceError) else BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _lmd(args: argparse.Namespace) -> dict:
    if args.stage == "image":
        return lmd.run(args)
    name, layouts = planned_layouts.layouts_for(args, [case.prompt for case in lmd.cases()])
    ours = lmd.score(layouts)
    theirs = lmd.score(lmd.recorded())
    rows = [[task, _share(ours["tasks"][task]), _share(theirs["tasks"][task])] for task in lmd.TASKS]
    rows.append(["all", _share(ours["all"]), _share(theirs["all"])])
    table = {"title": "LMD benchmark, layouts", "columns": ["task", name, "GPT-4, recorded"], "rows": rows}
    return {"evaluation": "lmd", "stage": args.stage, "planner": name, **ours, "gpt4_recorded": theirs, "table": table}


def _plan(args: argparse.Namespace) -> dict:
    cases = plan_checks.read_cases(planned_layouts.read_lines(args.file), str(args.file))
    if not cases:
        raise BadInput(str(args.file), "holds no prompts")
    name, layouts = planned_layouts.layouts_for(args, [case.prompt for case in cases])
    result = plan_checks.score(cases, layouts)
    rows = [[kind, _share(counts)] for kind, counts in result["kinds"].items()]
    rows += [["all checks", _share(result["checks"])], ["whole prompts", _share(result["prompts"])]]
    table = {"title": f"Checks of {args.file.name}", "columns": ["check", name], "rows": rows}
    result = {"evaluation": "plan", "planner": name, **result, "table": table}
    wanted = {case.prompt for case in cases}
    return result | _compared(args, name, [layout for prompt, layout in layouts.items() if prompt in wanted])


def _compared(args: argparse.Namespace, name: str, layouts: list) -> dict:
    """The statistics of the plans beside those of other layouts, if that was asked for."""
    if not args.compare:
        return {}
    ours = statistics(layouts)
    theirs = statistics(planned_layouts.layouts_from(args.compare))
    rows = [[label, f"{getattr(ours, key):.3g}", f"{getattr(theirs, key):.3g}"] for key, label in _labels()]
    table = {"title": "Statistics of the layouts", "columns": ["figure", name, args.compare.name], "rows": rows}
    return {"statistics": ours.model_dump(), "compared": theirs.model_dump(), "statistics_table": table}


def _labels() -> list[tuple[str, str]]:
    return [(key, field.description or key) for key, field in Statistics.model_fields.items()]


def _share(counts: dict) -> str:
    share = f"{counts['passed'] / counts['of']:6.1%}" if counts["of"] else "-"
    return f"{share}  ({counts['passed']}/{counts['of']})"


def _show(result: dict) -> None:
    """The tables, then what is to be said about them, and what failed."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, markup=False)
    for data in (result[key] for key in ("table", "statistics_table", "presets_table") if key in result):
        table = Table(title=data["title"], title_justify="left")
        for index, column in enumerate(data["columns"]):
            table.add_column(column, justify="right" if index else "left", no_wrap=index > 0)
        for row in data["rows"]:
            table.add_row(*row)
        console.width = max(
            console.width, console.measure(table, options=console.options.update(max_width=1000)).maximum
        )
        console.print(table)  # a table that is cut says nothing: rather let a narrow terminal wrap it
    for note in result.get("notes", ()):
        console.print(note)
    for failure in result.get("failures", ()):
        failed = failure["failed"] if isinstance(failure["failed"], str) else ", ".join(failure["failed"])
        console.print(printable(f"failed: {failed}{'' if failure['planned'] else ' (no plan)'}: {failure['prompt']}"))


if __name__ == "__main__":
    sys.exit(main())
