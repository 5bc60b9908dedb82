"""``instdiff-agent dataset``: make datasets of verified pictures, export them, and prove what they are worth."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from agent.dataset import judge_command as judging
from agent.dataset.folder import ITEMS, RECIPE, Folder, key_of
from agent.dataset.quotas import Quota, QuotaScenes
from agent.dataset.recipe import BUNDLED, Recipe
from agent.dataset.sources import Layouts, Prompts, Scenes, Source, Template, colours_of, kinds_of_scenes
from agent.dataset.trainers import command as trainers
from agent.request import AUTO
from agent.runs import write_json
from evaluators.detectors import default_verifier
from instdiff import cli, settings
from instdiff.cli import DONE, LazyParser, Parser, add_options, given_values, input_folder, output_folder, parse_values
from instdiff.engine import engine_info
from instdiff.errors import BadInput
from instdiff.formats.coco_file import CROWD_HELP, Crowd
from instdiff.world import knowledge

if TYPE_CHECKING:  # planners and the loop are loaded where they work
    from agent.dataset.making import Order

AddOptions = Callable[[argparse.ArgumentParser], None]
Command = Callable[[argparse.Namespace], tuple[dict, int]]
COUNT = 100
FORMATS = ("coco", "yolo", "webdataset", "parquet")  # of an export that names none
OTHER_FORMATS = ("coco-polygons", "yolo-seg", "label-studio", "cvat", "labelme")
PROVE_HELP = """Train the small detector from nothing on pictures of the dataset, on as many real ones of the same
things, and on both, for as many steps, with several seeds; score all on real ones that none has seen. What comes out
goes into the dataset card, unless the training was too short to say anything. The same command goes on with what was
stopped. Real are your own photographs, or composites, made of drawings:
instdiff-agent train draft --stage sprites --out training"""


def add_make(parser: argparse.ArgumentParser) -> None:
    """The options of `make`."""
    parser.description = MAKE_HELP
    parser.epilog = MAKE_EXAMPLES
    parser.add_argument("folder", metavar="FOLDER", type=output_folder, help="the dataset")
    source = parser.add_argument_group("what the pictures are of (one of the first four)")
    source.add_argument("--prompts", type=Path, metavar="FILE", help="one a line")
    source.add_argument("--layouts", type=Path, metavar="PATH", help="a folder, JSON lines, or annotations, see below")
    source.add_argument("--crowd", choices=get_args(Crowd), default="auto", help=f"{CROWD_HELP}; with --layouts")
    source.add_argument("--template", metavar="TEXT", help="a prompt with gaps")
    kinds = "kinds of scenes, or all; with --template, what {setting} may be"
    source.add_argument("--scenes", type=names, default=(), metavar="A,B", help=kinds)
    source.add_argument("--per-picture", default="2-5", metavar="N-M", help="things in a picture, with --scenes (2-5)")
    things = "only these things (default: those that the verifier knows)"
    source.add_argument("--things", type=names, default=(), metavar="A,B", help=things)
    colours = "a colour of these, or of all, for each thing"
    source.add_argument("--colours", type=names, default=(), metavar="A,B", help=colours)
    share = "for this share of the things, with --scenes (1)"
    source.add_argument("--coloured", type=float, default=1.0, metavar="X", help=share)
    varied = "share of the pictures at night, at sunset or on a plain background, of things striped or wooden (0)"
    source.add_argument("--varied", type=float, default=0.0, metavar="X", help=varied)
    default_count = f"one for each prompt or layout, else {COUNT}; as many as before, if that is more"
    source.add_argument("--count", type=int, metavar="N", help=f"pictures to keep (default: {default_count})")
    quota = "instead of --count, with --scenes: N verified things of each class, in each of the --colours and --sizes"
    source.add_argument("--quota", type=int, metavar="N", help=quota)
    sizes = "with --quota: of small, medium, large, as COCO counts them at 256 pixels"
    source.add_argument("--sizes", type=names, default=(), metavar="A,B", help=sizes)
    source.add_argument("--tries", type=float, default=4.0, metavar="X", help="candidates for each, at most (4)")
    add_options(parser, Recipe)
    place = parser.add_argument_group("where it runs (default: in this process)")
    place.add_argument("--ray", type=int, metavar="N", help='on Ray, with N workers: pip install -e ".[ray]"')
    place.add_argument("--address", metavar="A", help="of a Ray cluster, such as auto; else Ray is started here")
    place.add_argument("--slurm", type=int, metavar="N", help='in N SLURM jobs: pip install -e ".[slurm]"')
    option = "such as partition=gpu, timeout_min=60"
    place.add_argument("--slurm-option", action="append", default=[], metavar="NAME=VALUE", help=option)
    clusters = ("slurm", "local", "debug")
    place.add_argument("--slurm-cluster", choices=clusters, help="local: the jobs are processes on this machine")
    place.add_argument("--retries", type=int, default=2, metavar="N", help="after a service fails or a worker dies (2)")


def names(text: str) -> tuple[str, ...]:
    """ "kitchen, street" -> ("kitchen", "street")"""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def make(args: argparse.Namespace) -> tuple[dict, int]:
    """Make a dataset, or go on with one."""
    from agent.dataset.making import Order

    recipe = recipe_of(args)
    source = source_of(args, recipe)
    if not isinstance(source, Layouts) and recipe.size is None:
        recipe = recipe.model_copy(update={"size": engine_info(recipe.engine).native_size})
    recipe.check()
    for name, least in (("count", 1), ("quota", 1), ("ray", 1), ("slurm", 1), ("retries", 0), ("tries", 1)):
        if getattr(args, name) is not None and getattr(args, name) < least:
            raise BadInput(name, f"{getattr(args, name)} is less than {least}")
    if args.ray and args.slurm:
        raise BadInput("slurm", "give either --ray or --slurm")
    folder = Folder(args.folder.resolve())
    with folder.locked():
        folder.open({**recipe.fingerprint(), **source.about()})
        write_json(folder.path / RECIPE, recipe.model_dump(mode="json"))
        quota = Quota(folder, source, args.quota, args.tries) if isinstance(source, QuotaScenes) else None
        count = 0 if quota else folder.ask(args.count, len(source) or COUNT)
        try:
            _make_all(Order(folder, recipe, source, count, args.tries, args.retries, quota), args)
        except BaseException:  # of any kind: what is done by then is written down also where the user stops it
            folder.finish(count, stopped=True)
            raise
        manifest = folder.finish(count)
    failures = len(folder.failures())
    kept = len(manifest.pictures)
    below = quota.below() if quota else []
    result: dict = {"folder": str(args.folder), "kept": kept, "asked": count or kept}
    result |= {**_beyond(folder, kept), "candidates": len(folder.decided()), "failed": failures}
    if quota:
        result |= {"classes": len(quota.cells), "below quota": below}
    if kept > count > 0:
        result["notes"] = [f"{kept} pictures are there already, more than --count {count}: all are kept"]
    code = cli.NOT_VERIFIED if kept < count or below else DONE
    return result, cli.FAILED_PARTLY if failures else code


def _beyond(folder: Folder, kept: int) -> dict[str, int]:
    """What was painted together with the last that are kept, and waits for a larger count."""
    beyond = list(folder.decided().values()).count(ITEMS) - kept
    return {"beyond the count": beyond} if beyond > 0 else {}


def _make_all(order: Order, args: argparse.Namespace) -> None:
    """Make what is missing, where it is asked for; nothing is loaded or started where nothing is missing."""
    from agent.dataset import making

    if order.is_done():
        return
    with making.show_progress(order.folder, order.count, order.quota) as on_usage:
        if args.ray:
            from agent.dataset import on_ray

            on_ray.make_on_ray(order, on_usage, args.ray, args.address)
        elif args.slurm:
            from agent.dataset import on_slurm

            options = on_slurm.parse_options(args.slurm_option)
            on_slurm.make_on_slurm(order, on_usage, args.slurm, options, args.slurm_cluster)
        else:
            making.make(order, on_usage)


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe that the options ask for."""
    values = given_values(Recipe, vars(args))
    engine = engine_info(values.get("engine", "draft")).name
    if values.get("verifier", AUTO) == AUTO:
        values["verifier"], note = default_verifier(engine)
        if note:
            print(f"note: {note}", file=sys.stderr)
    accept = "all" if values["verifier"] == "none" else "picture"
    return parse_values(Recipe, {"accept": accept, **values})


def source_of(args: argparse.Namespace, recipe: Recipe) -> Source:
    """What the pictures are of; without ``--things``, only what a bundled verifier knows.

    Raises:
        BadInput: none or several are given, or one cannot be used.
    """
    kinds = [name for name in ("prompts", "layouts", "template", "scenes") if getattr(args, name)]
    if kinds == ["template", "scenes"]:
        kinds.remove("scenes")  # there they are what {setting} may be
    if len(kinds) != 1:
        given = ", ".join(kinds) or "none"
        raise BadInput("source", f"give one of --prompts, --layouts, --template and --scenes, not {given}")
    if args.quota is not None and (kinds != ["scenes"] or args.count):
        raise BadInput("quota", "goes with --scenes, and without --count")
    if args.sizes and args.quota is None:
        raise BadInput("sizes", "go with --quota")
    if args.varied and kinds != ["scenes"]:
        raise BadInput("varied", "goes with --scenes")
    if kinds == ["prompts"]:
        return Prompts.read(args.prompts)
    if kinds == ["layouts"]:
        return Layouts.read(args.layouts, args.crowd)
    things = args.things or known_things(recipe.verifier)
    colours = colours_of(args.colours)
    for share in ("coloured", "varied"):
        if not 0 <= getattr(args, share) <= 1:
            raise BadInput(share, f"{getattr(args, share)} is no share from 0 to 1")
    if kinds == ["template"]:
        return Template(args.template, colours, things, kinds_of_scenes(args.scenes, things))
    numbers = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", args.per_picture)
    if not numbers:
        raise BadInput("per_picture", f'"{args.per_picture[:40]}" is no number of things, such as 3 or 2-5')
    count = (int(numbers[1]), int(numbers[2] or numbers[1]))
    scenes = Scenes(kinds_of_scenes(args.scenes, things), count, colours, things, args.coloured, args.varied)
    return scenes if args.quota is None else QuotaScenes(scenes, recipe.batch, args.sizes)


def known_things(verifier: str) -> tuple[str, ...]:
    """The things that a bundled verifier knows; nothing (so that all are meant) for others."""
    if verifier not in BUNDLED:
        return ()
    config = json.loads((engine_info("draft").folder / BUNDLED[verifier] / "config.json").read_text(encoding="utf-8"))
    return tuple(name for name in config["categories"] if name in knowledge.things())


def add_export(parser: argparse.ArgumentParser) -> None:
    """The options of `export`."""
    from agent.dataset.export.records import ExportOptions  # the exports are loaded where they are asked for

    parser.add_argument("folder", metavar="FOLDER", type=input_folder, help="what make made")
    formats = f"of {', '.join(FORMATS + OTHER_FORMATS)} (default: {','.join(FORMATS)})"
    parser.add_argument("--format", type=names, default=FORMATS, metavar="A,B", help=formats)
    parser.add_argument("--out", type=output_folder, metavar="FOLDER", help="where it goes (default: FOLDER/export)")
    add_options(parser, ExportOptions)


def export(args: argparse.Namespace) -> tuple[dict, int]:
    """Write a dataset as others read it, with its card."""
    from agent.dataset.export import ExportOptions, export_all

    for name in args.format:
        if name not in FORMATS + OTHER_FORMATS:
            raise BadInput("format", f'"{name}" is not known; choose from {", ".join(FORMATS + OTHER_FORMATS)}')
    out = args.out or args.folder / "export"
    options = parse_values(ExportOptions, given_values(ExportOptions, vars(args)))
    result = {"out": str(out), **export_all(Folder(args.folder), out, args.format, options, is_shown=True)}
    return result, cli.FAILED_PARTLY if "damaged" in result else DONE


def add_prove(parser: argparse.ArgumentParser) -> None:
    """The options of `prove`."""
    from agent.benchmarks.proof_options import ProofOptions

    parser.description = PROVE_HELP
    parser.add_argument("folder", metavar="FOLDER", type=input_folder, help="what make made")
    real = parser.add_argument_group("real pictures (one of both)")
    drawings = "composites of these drawings"
    real.add_argument("--sprites", type=input_folder, metavar="FOLDER", help=drawings)
    real.add_argument("--photographs", type=Path, metavar="FILE", help="your own, with annotations of COCO")
    real.add_argument("--images", type=input_folder, metavar="FOLDER", help="of the photographs (default: the file's)")
    real.add_argument("--crowd", choices=get_args(Crowd), default="auto", help=CROWD_HELP)
    others = "another dataset as one more row, such as one of --places random; may be given again"
    parser.add_argument("--against", type=input_folder, action="append", default=[], metavar="FOLDER", help=others)
    add_options(parser, ProofOptions)


def prove(args: argparse.Namespace) -> tuple[dict, int]:
    """Train on the dataset and on real pictures; what comes out is written into the folder, for the card."""
    from agent.benchmarks.dataset_value import prove as run
    from agent.benchmarks.detector_examples import Photographs
    from agent.benchmarks.proof_options import ProofOptions
    from instdiff.training.draft.sprites import load_sprites

    if (args.sprites is None) == (args.photographs is None):
        raise BadInput("sprites", "give either --sprites or --photographs")
    options = parse_values(ProofOptions, given_values(ProofOptions, vars(args)))
    photographs = Photographs.read(args.photographs, args.images, args.crowd) if args.photographs else None
    sprites = load_sprites(args.sprites) if args.sprites else None
    return run(Folder(args.folder), options, sprites, photographs, [Folder(path) for path in args.against]), DONE


def add_check(parser: argparse.ArgumentParser) -> None:
    """The options of `check`."""
    parser.add_argument("folder", metavar="FOLDER", type=input_folder, help="what make made")
    mends = "put damaged files aside, in FOLDER/damaged, and make their items again"
    parser.add_argument("--repair", action="store_true", help=mends)
    alike = "name pictures that look alike, by the bundled detector's features, and their splits"
    parser.add_argument("--duplicates", action="store_true", help=alike)


def check(args: argparse.Namespace) -> tuple[dict, int]:
    """Look for torn or missing files, all of them; with ``--repair`` their items are made again."""
    from agent.dataset.mending import find_damage, repair

    folder = Folder(args.folder.resolve())
    if not folder.items.is_dir():
        raise BadInput("folder", f"{args.folder} holds no dataset; make one with instdiff-agent dataset make")
    result: dict = {"folder": str(args.folder)}
    if args.repair:
        with folder.locked():
            made, left = repair(folder)
            folder.finish(1, stopped=True)
        result |= {"made again": made} | ({"could not be made again": left} if left else {})
    wrong = list(find_damage(folder).values())
    members = len(folder.members())
    result |= {"items": members, **_beyond(folder, members), "wrong": wrong}
    if args.duplicates:
        from agent.dataset.duplicates import near_duplicates
        from agent.dataset.export.records import read_records

        records = read_records(folder, damaged={})
        paths = [folder.items / f"{key_of(index)}.png" for index in records.indices]
        result["near-duplicates"] = [
            f"{records.where(first)} and {records.where(second)}: {cosine:.2f}"
            for first, second, cosine in near_duplicates(paths)
        ]
    return result, cli.BAD_INPUT if wrong else DONE


def in_words(result: dict) -> str:
    """What a command found, one line each."""
    return "\n".join(
        f"{name.replace('_', ' ')}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in result.items()
    )


EXAMPLES = """examples:
  instdiff-agent dataset make outputs/kitchens --scenes kitchen,street --count 200 --per-picture 2-4 --colours red,blue
  instdiff-agent dataset make outputs/mine --prompts prompts.txt --accept instance --rounds 3
  instdiff-agent dataset make outputs/again --layouts annotations.json --ray 2
  instdiff-agent dataset export outputs/kitchens --format coco,yolo,webdataset,parquet
  instdiff-agent dataset export outputs/kitchens --format cvat
  instdiff-agent dataset check outputs/kitchens --repair"""
MAKE_HELP = """Make a dataset: plan, paint in batches, look, paint again what failed, keep what passes.

What the pictures are of is one of

  --prompts FILE     one prompt a line, or {"prompt": "..."} a line; over and over, with another seed each time
  --scenes A,B       prompts made of what is found in these kinds of scenes, each thing about as often as any other
  --template TEXT    a prompt with gaps: {colour}, {thing}, {things}, {number}, {setting}
  --layouts PATH     a folder of layouts, the lines of instdiff-agent plan --prompts, or annotations of COCO, CVAT,
                     Datumaro, FiftyOne, Label Studio, labelme (also a folder) or YOLO (a folder); places are kept

Candidate number i has a prompt and a seed that depend on i alone. The same command goes on with what was stopped or
killed, and leaves the same files as if it had not been; a larger --count adds to it, a smaller one removes nothing.
FOLDER then holds

  items/     one PNG and one JSON for each picture that is kept, and manifest.json
  rejected/  one JSON for each candidate that did not pass
  plans/     what was planned
  failed.jsonl  what could not be made; the next start tries again"""
MAKE_EXAMPLES = """examples:
  instdiff-agent dataset make outputs/cups --template "a {colour} cup and a {colour} bowl in a kitchen" --count 100
  instdiff-agent dataset make outputs/street --scenes street --count 500 --accept instance --min-iou 0.6 --ray 4
  instdiff-agent dataset make outputs/even --scenes all --quota 20 --accept instance
  instdiff-agent dataset make outputs/learn --scenes all --things cup,dog,car --per-picture 3-7 --colours all \\
    --coloured 0.6 --varied 0.5 --places mixed --accept instance --rounds 1 --count 600
  instdiff-agent dataset make outputs/street --scenes street --count 500 --slurm 8 --slurm-option partition=gpu

exit codes: 0 done, 1 done, but something could not be made (failed.jsonl), 2 bad input, 3 done, but fewer than --count
passed, 4 a service that is needed failed"""


# Each with its options, what does it, and its help.
COMMANDS: dict[str, tuple[AddOptions, Command, str]] = {
    "make": (add_make, make, "make a dataset, or go on with one"),
    "export": (add_export, export, "write it as others read it"),
    "prove": (add_prove, prove, "train a detector on it, and one on composites"),
    "train": (trainers.add_arguments, trainers.run, "train a detector of torchvision or ultralytics on it"),
    "judge": (judging.add_arguments, judging.run, "hold its labels against what another detector sees"),
    "check": (add_check, check, "look for torn or missing files, and make their items again"),
}


def build_parser() -> argparse.ArgumentParser:
    """The command line: one sub-command for each thing to do with a dataset."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="instdiff-agent dataset", description=__doc__, epilog=EXAMPLES, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=LazyParser)
    for name, (add, _, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, formatter_class=raw)
        command.add = add
        command.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Do what is asked for; returns the exit code."""

    given = sys.argv[1:] if argv is None else argv

    def go_on() -> str:
        """What is made stays, and the same command makes the rest."""
        if given[:1] != ["make"]:
            return ""
        return f"; what is made stays; go on with: {cli.program()} dataset {shlex.join(given)}"

    def work() -> int:
        args = build_parser().parse_args(argv)
        settings.wait_passively()
        _, command, _ = COMMANDS[args.command]
        result, code = command(args)
        print(json.dumps(result) if args.json else in_words(result))
        return code

    return cli.exit_code(work, go_on)


if __name__ == "__main__":
    sys.exit(main())
