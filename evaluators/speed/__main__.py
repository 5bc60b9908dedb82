"""``instdiff-agent speed``: how fast the engine paints, beside the published schedule of work in the same run."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from instdiff.cli import DONE, NOT_VERIFIED, Parser, exit_code, output_file
from instdiff.errors import BadInput
from instdiff.formats.files import write_bytes

EXAMPLES = """\
sizes, none of which is downloaded:
  small  the published architecture at a tenth of the width, latents 32 x 32, weights made from numbers
  draft  the bundled draft model
  sd15   the published size, latents 64 x 64, weights made from numbers: seconds for a row of one UNet call on a CPU; 10
         GB of memory

modes:
  engine     as the engine paints
  reference  the published schedule: one UNet call after another, everything made anew for each
Both paint the same latents up to rounding; "difference" is the largest difference in standard deviations of the
latents. With --estimate --repeat calls of each shape are timed and the others left out; "seconds" is then what all
calls of a picture take at that pace, and there is no picture to compare. For sizes that are too large for a CPU, and
for many rows.
A picture is everything from the boxes to the last latents; text encoder and decoder, the same in both modes, are left
out.

columns:
  seconds         median; beside it processor seconds, which a busy machine does not stretch
  evaluations     latents that went through the UNet, of both halves of guidance
  GFLOP           what torch's counter counts: convolutions, linear layers, products of attention
  of matmul       work per (processor) second, as a share of a large matrix product measured in the same run
  peak MB         memory on the device, or of the process on a CPU

examples:
  instdiff-agent speed --size draft --instances 0 3 10
  instdiff-agent speed --size small --instances 6 --mis 0.36            the published number of steps, in full
  instdiff-agent speed --size small --each                              what each saving is worth on its own
  instdiff-agent speed --size sd15 --instances 6 --mis 0.36 --estimate --repeat 1
  instdiff-agent speed --size sd15 --device cuda --dtype float16 --json
  instdiff-agent speed --size draft --batches 1 4 8 16       layouts with unequal numbers of instances in one call
  instdiff-agent speed --check               each fast way beside the plain one, on --device
  instdiff-agent speed --size sd15 --device cuda --card card.jsonl     all of it for a card, most wanted first
  instdiff-agent speed --overhead            what a device would wait for: operations sent, the loop's own time
  instdiff-agent speed --write docs/performance.md
  instdiff-agent speed --rows monday.jsonl tuesday.jsonl --write docs/performance.md     what --json wrote
  instdiff-agent evaluate draft --presets --places box --count 64   measures the presets; into the page:
  instdiff-agent speed --estimate --write docs/performance.md --presets outputs/evaluations/draft/results.json

exit codes: 0 done, 2 bad input, 3 --check found a difference, or --card has rows left: say it again
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Parser(
        prog="instdiff-agent speed",
        description="Measures the engine, and the published schedule of work beside it, run by run in turns.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    sizes = ["small", "draft", "sd15"]
    modes = ["engine", "reference"]
    dtypes = ["float32", "bfloat16", "float16"]
    parser.add_argument("--size", nargs="+", choices=sizes, default=["small", "draft"], help="(small draft)")
    parser.add_argument("--mode", nargs="+", choices=modes, default=modes, help="(both)")
    parser.add_argument("--instances", nargs="+", type=_from(0, 13), metavar="N", help="(0 1 3 6 10; 6 with --each)")
    parser.add_argument("--mis", nargs="+", type=_from(0.0, 0.99), metavar="M", help="(0 0.2 0.36; 0.36 with --each)")
    parser.add_argument(
        "--steps", type=_from(1, 1000), metavar="S", help="of denoising (50; 25 for draft; 10 with --each)"
    )
    parser.add_argument("--repeat", type=_from(1, 100), metavar="R", help="pictures per mode (3; 1 with --each)")
    parser.add_argument("--each", action="store_true", help="also the engine without each of its savings in turn")
    parser.add_argument("--estimate", action="store_true", help="time --repeat calls of each shape, no whole pictures")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (cpu)")
    parser.add_argument("--dtype", choices=dtypes, default="float32", help="of weights (float32)")
    parser.add_argument("--autocast", action="store_true", help="also the engine under bfloat16 autocast, from --dtype")
    overhead = "count the operations that a UNet call sends, time the loop around it, and stop"
    parser.add_argument("--overhead", action="store_true", help=overhead)
    batches = "the same layouts, with 0, 1, 2, ... instances, so many in one call of the whole pipeline, and stop"
    parser.add_argument("--batches", nargs="+", type=_from(1, 64), metavar="N", help=batches)
    check = "compare recorded calls and each precision with plain single precision on the processor, and stop"
    parser.add_argument("--check", action="store_true", help=check)
    card = "measure all that is to be known of --size on --device, row by row into this file; what is there is kept"
    parser.add_argument("--card", metavar="FILE", type=output_file, help=card)
    parser.add_argument("--within", type=_from(1.0, 1e6), default=400.0, metavar="S", help="of --card, seconds (400)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--rows", nargs="+", metavar="FILE", type=Path, help="measure nothing; read what --json wrote")
    parser.add_argument("--write", metavar="FILE", type=output_file, help="put the table into a Markdown file as well")
    presets = "with --write: put in the table of presets from this results.json of evaluate draft --presets"
    parser.add_argument("--presets", metavar="FILE", type=Path, help=presets)
    return parser


# What is measured where nothing else is said; --each is eleven modes more, so it takes one layout and few steps.
DEFAULTS = {"instances": [0, 1, 3, 6, 10], "mis": [0.0, 0.2, 0.36], "steps": None, "repeat": 3}
DEFAULTS_EACH = {"instances": [6], "mis": [0.36], "steps": 10, "repeat": 1}


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line with its defaults."""
    options = build_parser().parse_args(arguments)
    for name, value in (DEFAULTS_EACH if options.each else DEFAULTS).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.presets and not options.write:
        raise BadInput("presets", "is about the page of --write; give one")
    return options


def _from(least: float, most: float):
    def number(text: str):
        value = type(least)(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not within {least} to {most}")
        return value

    return number


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    return exit_code(lambda: run(read_options(arguments)))


def run(options: argparse.Namespace) -> int:
    """The command."""
    if options.overhead:
        print("\n".join(overhead()))
        return DONE
    if options.batches or options.check or options.card:
        return run_apart(options)
    presets = read_presets(options.presets) if options.presets else ""  # before the time is spent
    rows: list[dict] = []
    for row in measure(options):
        rows.append(row)
        if options.json or "mode" not in row:
            print(json.dumps(row), flush=True)
        else:
            print(line(row) if len(rows) > 1 else "\n".join([HEAD, RULE, line(row)]), flush=True)
    if options.write:
        write_bytes(options.write, page(rows, presets, overhead()).encode())
    return DONE


def run_apart(options: argparse.Namespace) -> int:
    """--batches, --check or --card: a line for each row."""
    import torch

    from evaluators.speed import batches, card, modes

    if options.card:
        left: list[str] = []
        for row in card.rows(options):
            print(json.dumps(row), flush=True)
            left = row.get("left", [])
        return NOT_VERIFIED if left else DONE
    device = modes.device_named(options.device)
    equal = True
    for size in options.size:
        if options.check:
            measured = card.Card(size, device, options.steps, options.repeat, Path())
            rows: Iterator[dict] = ({"dtype": dtype, **measured.check(dtype)} for dtype in card.precisions(device))
        else:
            models = modes.load_models(size, device, getattr(torch, options.dtype))
            most = max(options.batches)
            rows = batches.batch_rows(models, size, options.batches, most, options.steps, options.repeat)
        for row in rows:
            print(json.dumps({"size": size, "machine": modes.machine(device), **row}), flush=True)
            equal = equal and row.get("equal", True)
    return DONE if equal else NOT_VERIFIED


def overhead() -> list[str]:
    """Tables of what a device waits for, measured on the processor with the draft model's loop."""
    import torch

    from evaluators.speed.measure import load_models
    from evaluators.speed.overhead import overhead_lines

    return overhead_lines(load_models("draft", torch.device("cpu"), torch.float32), repeat=5)


def measure(options: argparse.Namespace) -> Iterator[dict]:
    """Rows of this run, or of earlier ones."""
    if not options.rows:
        from evaluators.speed import modes  # torch loads here

        yield from modes.rows(options)
        return
    for path in options.rows:
        try:
            yield from map(json.loads, path.read_text().splitlines())
        except (OSError, ValueError) as error:
            raise BadInput("rows", f"{path} cannot be read: {error}") from error


def read_presets(path: Path) -> str:
    """The section about presets, from what ``python -m evaluators draft --presets`` wrote.

    Raises:
        BadInput: the file holds no such table.
    """
    try:
        result = json.loads(path.read_text())
        table = result["presets_table"]
        model = f"engine {result['engine']}, weights {result['model_hash']}"
        lines = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
        title = table["title"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{path} holds no table of presets; python -m evaluators draft --presets writes one"
        raise BadInput("presets", reason) from error
    return PRESETS.format(title=title, model=model, table="\n".join(f"| {' | '.join(cells)} |" for cells in lines))


COLUMNS = [
    "size", "mode", "n", "mis", "steps", "seconds", "cpu s", "calls", "evaluations", "GFLOP", "of matmul", "peak MB",
    "faster", "difference",
]  # fmt: skip
HEAD = f"| {' | '.join(COLUMNS)} |"
RULE = "|" + " --- |" * len(COLUMNS)


def line(row: dict) -> str:
    """A row as a line of a Markdown table."""
    cells = [
        *(row[name] for name in ("size", "mode", "instances", "mis", "steps")),
        f"{row['seconds']:.2f}",
        f"{row['cpu_seconds']:.2f}",
        row["unet_calls"],
        row["evaluations"],
        f"{row['flops'] / 1e9:.0f}",
        f"{row['of_matmul']:.0%}",
        f"{row['peak_bytes'] / 1e6:.0f}",
        f"{row['faster']:.2f} x" if row["faster"] else "",
        f"{row['difference']:.0e}" if row["difference"] is not None else "",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def table_of(names: dict[str, str], rows: list[dict]) -> str:
    """Rows as a Markdown table; ``names`` are keys of a row and the heads of their columns."""
    lines = [list(names.values()), ["---"] * len(names)]
    for row in rows:
        values = [row.get(name, "") for name in names]
        lines.append([f"{value:.3g}" if isinstance(value, float) else str(value) for value in values])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page(measured: list[dict], presets: str, waits: list[str]) -> str:
    """docs/performance.md: the tables, how to read and repeat them, what a device waits for, and the presets."""
    from evaluators.speed.reference_schedule import SAVINGS

    rows = [row for row in measured if "mode" in row]
    batched = [row for row in measured if "batch" in row and "name" not in row]
    batches = [{**row, "peak": round(row["peak_bytes"] / 1e6)} for row in batched]
    card = [{**row, "peak": row.get("peak_bytes", 0.0) / 1e9} for row in measured if "name" in row]
    return PAGE.format(
        batches=BATCHES.format(table=table_of(BATCH_COLUMNS, batches)) if batches else "",
        card=table_of(CARD_COLUMNS, card) if card else NO_CARD,
        machine=rows[0]["machine"],
        speed=f"{statistics.median(row['matmul_flops_per_s'] for row in rows) / 1e9:.0f}",
        table="\n".join([HEAD, RULE, *map(line, rows)]),
        presets=presets,
        waits="\n".join(waits),
        savings="\n".join(f"- `{name}`: {saving}" for name, saving in SAVINGS.items()),
    )


BATCH_COLUMNS = {"size": "size", "batch": "at once", "a_picture": "seconds a picture", "layouts": "pictures"}
BATCH_COLUMNS |= {"evaluations": "evaluations", "peak": "peak MB", "machine": "machine"}
CARD_COLUMNS = {"machine": "card", "torch": "torch", "size": "size", "name": "what", "seconds": "seconds"}
CARD_COLUMNS |= {"before": "before the first", "a_picture": "seconds a picture", "peak": "peak GB"}
CARD_COLUMNS |= {"off": "off single precision", "recorded_off": "recorded off plain"}
NO_CARD = """\
Not measured yet: nobody has run it since calls are recorded. Before, an H100 (half precision, 512 pixels, 50 steps)
took 2.36 s without instances and 3.11 s with six and mis 0.36, and 29.24 s by the published schedule; of the 3.11 s
most was waiting for the processor."""

BATCHES = """\
## Batches

The same layouts with 0 to 6 instances (mis 0.36) through the whole pipeline, so many in one call; on a CPU, seconds of
a processor per thread (`instdiff-agent speed --size draft --batches 1 4 8 16`):

{table}

"""

PRESETS = """\
## Presets

Written by `python -m evaluators draft --presets --places box --count 64`. {title} ({model}):

{table}

A preset is DPM-Solver++ (2M) in fewer steps, and guidance that is kept: in every second step only the half with
grounding is computed, and guidance leads where it led in the step before. Fractions of the steps, grounding (alpha) and
the Multi-Instance Sampler (mis), stay fractions. `run_agent.py --preset fast`, `RenderSettings(preset="fast")`; without
a preset the picture is exact, bit for bit.

"""

PAGE = """\
# Performance

Written by `python -m evaluators.speed --write docs/performance.md`; `--help` explains the columns and says how to
choose the rows. Machine: {machine}; a matrix product runs at {speed} GFLOP per second of one of its processors, or of
its GPU.

{table}

*engine* is how the pipeline paints; *reference* is the published schedule of work through the same modules: one UNet
call after another, the grounding tokens and the ConvNeXt in every call. "faster" compares processor seconds on a CPU
(other work on the machine does not stretch them), seconds on a GPU, with the reference of the same layout; a row named
*without ...* compares with the reference too. "difference" is the largest difference from the reference's latents in
standard deviations of these. A row that is *estimated* comes from calls of each shape that were timed, times their
number in a picture.

The savings, none of which is an option, since all give equal latents up to rounding:

{savings}

## What a device waits for

A GPU is fast enough to wait for the operations that it is sent. What a call of the UNet sends can be counted without
one (`python -m evaluators.speed --overhead`): of the published structure, narrow, for two rows. Views start no kernel.

{waits}

The second table is the draft model with a UNet that gives zeros, on one processor: a step of its loop, and a whole call
of the pipeline with its own number of steps, in which captions are read, a first guess is drawn, and the picture is
decoded.

{batches}## On a graphics card

On NVIDIA cards each call of the UNet is recorded as a CUDA graph the second time that its shape is seen, and replayed
from then on: the card is sent one thing instead of a thousand. Graphs are few, take at most a quarter of the card's
memory, and go when weights move, adapters change, or the shape is not seen again. Hooks, autocast, offloading and a
UNet that is compiled as a whole are called step by step, and so is what cannot be recorded: one line says why.
`INSTDIFF_CUDA_GRAPHS=0`, or `pipe.unet.cuda_graphs = False`, switches them off. No step waits for the card. Noise that
schedulers add is drawn on the processor, so that a seed is the same picture everywhere, and the card fetches it by
itself.

```bash
instdiff-agent speed --size sd15 --device cuda --check
instdiff-agent speed --size sd15 --device cuda --card card.jsonl
instdiff-agent speed --rows cpu.jsonl card.jsonl --write performance.md
```

The first compares each precision with single precision on the processor, and recorded calls with plain ones. The second
measures pictures without and with instances, the published schedule, the engine without graphs, batches, three
precisions and compiled blocks, the most wanted first, and writes the longest kernels to files beside; it begins nothing
more after 400 seconds (`--within`), and the same command goes on with what is left. Weights are made from numbers:
nothing is downloaded.

{card}

{presets}## Few steps

A LoRA that was distilled to few steps (LCM-LoRA, Hyper-SD) is merged, and the model paints so by itself; guidance
stays:

```bash
instdiff-agent convert models/instancediffusion-sd15 --lora lcm.safetensors --scheduler lcm --steps 8 \\
  --guidance 1.5 --out models/few
instdiff-agent make "two dogs" --engine models/few
instdiff-agent evaluate draft --engine models/few --presets --places box --count 64
```

`tcd` is for Hyper-SD's LoRA of any number of steps, `ddim` for those of a fixed number. The last command sets AP and
recall beside seconds a picture, as above for the draft model, on drawings; on photographs it has not been measured.

## What a user can choose

| to | do |
| --- | --- |
| compile the blocks (regional) | `pipe.unet.compile_repeated_blocks(fullgraph=True)` |
| go without CUDA graphs | `pipe.unet.cuda_graphs = False`, or `INSTDIFF_CUDA_GRAPHS=0` |
| keep only the model at work on the GPU | `pipe.enable_model_cpu_offload()` |
| decode pictures one at a time | `pipe.enable_vae_slicing()`, where the VAE is an `AutoencoderKL` |
| bound the memory of the UNet | `pipe(layouts, max_batch=4)`: 4 rows at once; n instances make 2 (n + 1) while apart |
| compute in half precision | `InstanceDiffusionPipeline.from_pretrained(folder, dtype=torch.bfloat16)` |

In half precision the latents and the coordinates stay float32.
"""

if __name__ == "__main__":
    sys.exit(main())
