"""Every scheduler of diffusers with a UNet that knows what the picture is: does it paint that, and does it repeat?"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from evaluators.reporting import EvaluationResult, Table, add_output_arguments, progress_bar
from instdiff.formats.files import write_bytes

STEPS = 10
OUT = Path("outputs/evaluations/schedulers")
HELP = f"""Paints with every scheduler that diffusers has, made by from_config from that of the published model, in
{STEPS} steps, asking a UNet that knows what the picture is. "misses" is how far the latents end from it, in percent of
their own size: what a scheduler leaves of the noise. "repeats" says whether the same seed gives the same latents, bit
for bit; "noise of its own" whether another seed of the steps gives others. "MIS" says whether instances may be denoised
on their own (Multi-Instance Sampler), "clean" whether the model may be one that predicts clean latents, as the bundled
one does, and "part" whether a part of a picture may be painted anew. Nothing is loaded, and it takes seconds."""
COLUMNS = ("scheduler", "evaluations", "misses %", "repeats", "noise of its own", "MIS", "clean", "part", "paints")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--write", metavar="FILE", type=Path, help="put the table into a Markdown file as well")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace) -> EvaluationResult:
    """Try them all.

    Raises:
        BadInput: the file cannot be written.
    """
    import diffusers

    from evaluators.schedulers.trials import names, row_of  # torch loads here

    rows = []
    diffusers.logging.set_verbosity_error()
    with warnings.catch_warnings(), progress_bar(not args.json) as bar:
        warnings.simplefilter("ignore")
        for name in bar.track(names(), description="trying"):
            rows.append(row_of(name))
    title = f"Schedulers of diffusers {diffusers.__version__}, {STEPS} steps"
    table = Table(title, COLUMNS, rows)
    notes = ["made by python -m evaluators schedulers; --help explains the columns"]
    notes += ["pipe(layout, scheduler=KIND.from_config(pipe.scheduler.config)) paints with one of them"]
    if args.write:
        write_bytes(args.write, table.to_markdown(notes).encode())
    figures = {"schedulers": [dict(zip(COLUMNS, row, strict=True)) for row in rows]}
    result = EvaluationResult("schedulers", figures, (table,), notes)
    result.write(args.folder)
    return result
