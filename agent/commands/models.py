"""``instdiff-agent models``: which models this machine can use, and how to get the others."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from instdiff import settings
from instdiff.cli import DONE, Parser, exit_code, output_folder, program
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from agent.commands.registry import Model, Remote
    from agent.commands.usable import Usable

DESCRIPTION = """Which engines, planners, verifiers and refiners this machine can use, and the one command that each of
the others needs. Nothing is loaded, and no network is asked.

models get NAME fetches real weights, checks them by their hash and converts them:

  sd15            the engine of photographs, InstanceDiffusion on Stable Diffusion 1.5, and owlv2 to verify its pictures
  refiner         the SDXL refiner, for --refine
  owlv2, grounding-dino   verifiers that look for anything

A download that was stopped is gone on with by the same command."""
EXAMPLES = """\
examples:
  instdiff-agent models
  instdiff-agent models --json
  instdiff-agent models get sd15                       then: instdiff-agent make "two dogs on a sofa" --engine sd15
  instdiff-agent models get refiner
  instdiff-agent models get owlv2 --from http://mirror.local:8000     a server with the paths of the Hub

Models land in the folder INSTDIFF_MODELS, or else in models of the cache folder. A mirror answers to the paths of the
Hugging Face Hub, /OWNER/NAME/resolve/main/FILE; where it does not say the hash of a FILE as the Hub does, it has it in
FILE.sha256. Variables: HF_ENDPOINT (another Hub), HF_TOKEN, HTTPS_PROXY.

exit codes: 0 done, 2 bad input, 4 a server does not answer, or what it sends is damaged"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="instdiff-agent models", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw, allow_abbrev=False
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parts = parser.add_subparsers(dest="action", metavar="get", title="to fetch one")
    get = parts.add_parser("get", help="fetch and convert weights", epilog=EXAMPLES, formatter_class=raw)
    get.add_argument("name", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    get.add_argument("--from", dest="base", metavar="URL", help="a mirror (default: the Hugging Face Hub)")
    folder = "where models lie (default: INSTDIFF_MODELS, or models in the cache folder)"
    get.add_argument("--to", type=output_folder, metavar="FOLDER", help=folder)
    get.add_argument("--without-verifier", action="store_true", help="of sd15: fetch the engine alone")
    get.add_argument("--quiet", action="store_true", help="no bar, and no words but errors")
    return parser


NAMES = ("sd15", "refiner", "owlv2", "grounding-dino")


def main(argv: list[str] | None = None) -> int:
    """List, or fetch; the exit code is returned."""
    name = (sys.argv[1:] if argv is None else argv)[:2]
    again = f"; what is fetched stays; go on with: {program()} models {' '.join(name)}" if name[:1] == ["get"] else ""
    return exit_code(lambda: run(build_parser().parse_args(argv)), lambda: again)


def run(args: argparse.Namespace) -> int:
    """The command."""
    if args.action == "get":
        return get(args)
    from agent.commands.usable import parts
    from instdiff.device import this_device

    device = this_device()
    rows = parts(device)
    if args.json:
        folder = str(settings.models_folder())
        named = {**device._asdict(), "models": folder, "parts": [row._asdict() for row in rows]}
        print(json.dumps(named, indent=1))
    else:
        print(f"device: {device}")
        print(f"models: {settings.models_folder()}")
        if device.kind == "cpu" and shutil.which("nvidia-smi") and "+cpu" in version("torch"):
            print(
                "note: there is a graphics card, but torch is built without CUDA: pip install --force-reinstall torch"
            )
        _show(rows)
    return DONE


def _show(rows: list[Usable]) -> None:
    """A table of the parts, then a command for each that cannot be used."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*("part", "name", "", "what"))
    for row in rows:
        state = Text("usable", "green") if row.usable else Text("not here", "yellow")
        table.add_row(row.kind, Text(row.name), state, Text(row.about))
    console = Console()
    console.print(table)
    console.print("to get what is not here:", highlight=False)
    for row in rows:
        if row.command:
            line = Text.assemble((f"  {row.name}: ", "bold"), row.command)
            console.print(line, soft_wrap=True)


def get(args: argparse.Namespace) -> int:
    """Fetch what has this name, and what it needs beside."""
    from agent.commands.registry import MODELS
    from evaluators.detectors import default_verifier

    base = args.base or settings.hub_url()
    if not args.base and settings.is_offline():
        raise BadInput("from", "HF_HUB_OFFLINE is set: nothing is fetched from the Hub; unset it, or name a mirror")
    folder = args.to or settings.models_folder()
    model = MODELS[args.name]
    _get_one(model, folder, base, args.quiet)
    if model.verifier and not args.without_verifier and default_verifier(args.name)[0] == "none":
        _get_one(MODELS[model.verifier], folder, base, args.quiet)
    if not args.quiet:
        _say_what_next(args.name, folder)
    return DONE


def _get_one(model: Model, folder: Path, base: str, quiet: bool) -> None:
    """Fetch the files of a model, and convert them where that is needed; one process at a time."""
    from filelock import FileLock, Timeout

    target = folder / model.folder
    if model.is_in(folder):
        if not quiet:
            print(f"{target} is there already", file=sys.stderr)
        return
    downloads = folder / ".downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    files = downloads / model.folder
    try:
        with FileLock(downloads / f"{model.folder}.lock", timeout=0):
            _fetch(model.files, files, base, quiet)
            if model.convert:
                _convert(files, target, quiet)
                shutil.rmtree(files)
            else:
                files.rename(target)
    except Timeout as error:
        raise BadInput("name", f"{model.folder} is being fetched by another process") from error


def _fetch(remotes: tuple[Remote, ...], folder: Path, base: str, quiet: bool) -> None:
    """Fetch files into a folder, with a bar on stderr."""
    from rich import progress
    from rich.console import Console

    from agent.commands.fetch import fetch, find, open_client

    console = Console(stderr=True)
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn())
    rates = (progress.TransferSpeedColumn(), progress.TimeRemainingColumn())
    shown = console.is_terminal and not quiet
    with open_client() as client, progress.Progress(*columns, *rates, console=console, disable=not shown) as bar:
        found = find(client, remotes, base)
        task = bar.add_task("fetching", total=sum(file.size for file in found))
        fetch(client, found, folder, lambda count: bar.advance(task, count))


def _convert(files: Path, target: Path, quiet: bool) -> None:
    """InstanceDiffusion's checkpoint to a model folder, in half precision."""
    from agent.commands.registry import CHECKPOINT, STOCK
    from instdiff.checkpoint import __main__ as convert

    words = [str(files / CHECKPOINT.path), "--stock", str(files / STOCK.path), "--tokenizer", str(files)]
    args = convert.build_parser().parse_args([*words, "--dtype", "fp16", "--out", str(target)])
    with contextlib.redirect_stdout(io.StringIO() if quiet else sys.stdout):
        convert.run(args)


def _say_what_next(name: str, folder: Path) -> None:
    """How what was fetched is used."""
    options = {"sd15": "--engine sd15", "refiner": "--engine sd15 --refine 0.3"}
    flags = options.get(name, f"--engine sd15 --verifier {name}")
    setting = "" if folder == settings.models_folder() else f"INSTDIFF_MODELS={shlex.quote(str(folder))} "
    print(f'{name} is in {folder}; paint with: {setting}{program()} make "two dogs on a sofa" {flags}')
