"""``instdiff-agent make``: from a sentence to a verified picture. All other commands about pictures are parts of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from agent.commands.running import build_request, carry_out
from agent.request import OUTCOME, WORKERS, Request
from instdiff.cli import add_options, output_folder, part_parser
from instdiff.formats.coco_file import CROWD_HELP, Crowd

__all__ = ["build_parser", "build_request", "main"]

EXAMPLES = """\
examples:
  instdiff-agent make "a cozy living room"
  instdiff-agent make "two dogs on the left of a red car" --seed 3 --images 2
  instdiff-agent make "a kitchen" --preset fast                    about twice as fast, nearly as good
  instdiff-agent make "a kitchen" --plan-only > kitchen.json       then edit it, and
  instdiff-agent make --layout kitchen.json                        paint what is in the file
  instdiff-agent make "two cats and a boy on a phone" --explain    how the words are read, and nothing painted

with what other commands made, or need:
  instdiff-agent make --layout outputs/RUN/best.png                paint a picture again, exactly
  instdiff-agent make --layout outputs/RUN/best.png --steps 50     the same with more steps
  instdiff-agent make --layout annotations.xml --picture 7.jpg     paint what CVAT knows of a picture
  instdiff-agent make --prompts prompts.txt --out outputs/batch    a run for each line, and manifests for evaluations
  instdiff-agent make --resume outputs/RUN                         go on after a kill
  instdiff-agent make "a kitchen" --review                         stop after the plan; instdiff-agent review goes on
  instdiff-agent make "a kitchen" --engine sd15                    photographs (instdiff-agent models get sd15)
  instdiff-agent make "a kitchen" --engine sd15 --refine 0.3       finer detail (instdiff-agent models get refiner)
  instdiff-agent make "a kitchen" --planner openai:gpt-4o          needs OPENAI_API_KEY
  instdiff-agent make "a kitchen" --planner ollama:llama3.1        needs a running Ollama
  instdiff-agent make "a kitchen" --planner llama:model.gguf       needs pip install "instdiff-agent[llama]"

With --prompts FILE, the folder --out then holds runs/ (a run for each prompt), and first/ and best/, the pictures of
the first and of the best rounds with manifests that evaluations read. The n-th prompt is painted with seed --seed + n.
The same command goes on with what was stopped.

python run_agent.py is the same command. What --edit, --repair, --approve, --replan and --reject do, edit, repair and
review do in fewer words.

exit codes: 0 done, 2 bad input, 3 not verified with --strict, 4 a needed service failed
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line. What is not given is absent from the namespace."""
    parser = part_parser(
        "make",
        "A scene in words becomes a layout, the layout a picture, which is checked against the layout.",
        EXAMPLES,
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="the scene in words")
    start = parser.add_argument_group("instead of a prompt")
    files = (
        "InstanceDiffusion JSON, a picture painted here, or COCO, CVAT, Datumaro, FiftyOne, Label Studio, labelme, YOLO"
    )
    start.add_argument("--layout", metavar="FILE", help=f"paint this: {files}")
    many = "a picture for each prompt of a file, one a line, see below (planner: offline, if none is named)"
    start.add_argument("--prompts", metavar="FILE", type=Path, help=many)
    start.add_argument("--picture", metavar="NAME", help="which picture of such a file with many: its file name or id")
    start.add_argument("--crowd", choices=get_args(Crowd), help=f"{CROWD_HELP}; of COCO in --layout")
    boxes = "what bbox holds in the JSON file (default: auto, which tells both apart or refuses)"
    start.add_argument("--box-format", choices=("auto", "xywh", "corners"), help=boxes)
    start.add_argument("--resume", metavar="RUN", help="go on with a stopped run; its folder says all that was asked")
    start.add_argument("--approve", metavar="RUN", help="paint the plan of a run that --review left waiting")
    start.add_argument("--replan", metavar="RUN", help="have that plan made again, with another seed; it waits again")
    start.add_argument("--reject", metavar="RUN", help="end that run; nothing is painted")
    edits = "the prompt says what to change in the best picture of this run, of the latest one, or in a file"
    start.add_argument("--edit", metavar="RUN|latest|FILE", help=f"{edits}; every pixel elsewhere stays as it is")
    repairs = "paint anew what failed on the best picture of this run, or of the latest one, and keep the rest"
    start.add_argument("--repair", metavar="RUN|latest", help=repairs)
    wrong = "with --repair: what is wrong, by its name in the plan (lamp) or with its number (lamp 2); repeatable"
    start.add_argument("--thing", metavar="NAME", action="append", help=wrong)
    groups = add_options(parser, Request)
    trust = "let the code run that comes with cogvlm"
    groups[WORKERS].add_argument("--trust-remote-code", action="store_true", help=trust)
    outcome = groups[OUTCOME]
    folder = "gets a new folder for the run (default: outputs; outputs/batch with --prompts)"
    outcome.add_argument("--out", metavar="FOLDER", type=output_folder, help=folder)
    outcome.add_argument("--plan-only", action="store_true", help="print the layout as JSON and paint nothing")
    explain = "show how the offline planner reads the words: things, relations, what is left out and why; paint nothing"
    outcome.add_argument("--explain", action="store_true", help=explain)
    outcome.add_argument("--json", action="store_true", help="print one JSON object on stdout, progress on stderr")
    outcome.add_argument("--quiet", action="store_true", help="print the path of the picture, and nothing else")
    outcome.add_argument("--strict", action="store_true", help="exit with 3 if the picture is not verified")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, call, show; the exit code is returned."""
    return carry_out(lambda: vars(build_parser().parse_args(argv)))
