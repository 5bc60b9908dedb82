"""``python -m instdiff.train``: trains the bundled draft models, stage by stage, and models of any size on pictures of
one's own.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from instdiff.cli import Parser, exit_code
from instdiff.errors import BadInput
from instdiff.training.sd15.recipe import Recipe

HELP = """\
Trains UniFusion, the gated self-attention and ScaleU on pictures with annotations; backbone, text encoder and autoencoder
stay as they are. The loss is that of the model's scheduler (Stable Diffusion: the noise). Kinds of place, captions and
instances are dropped at random, as in the published training.
"""
EXAMPLES = """\
examples:
  new blocks with closed gates on Stable Diffusion 1.5, then train them:
    python -m instdiff.checkpoint v1-5-pruned-emaonly.safetensors --out models/start
    hf download facebook/convnext-tiny-224 --local-dir models/convnext
    python -m instdiff.train sd15 --model models/start --convnext models/convnext --annotations train.json --images pictures/ \\
        --out training --precision bf16 --gradient-checkpointing
  on all graphics cards of one machine, and of several:
    torchrun --nproc_per_node 8 -m instdiff.train sd15 ...
    torchrun --nnodes 8 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:29500 -m instdiff.train sd15 ...
  the published training: 64 graphics cards under SLURM, as one job that goes on when its time is over:
    python -m instdiff.train sd15 ... --batch 8 --slurm --nodes 8 --gpus 8 --partition gpu --time 72
  see what would be submitted:
    python -m instdiff.train sd15 ... --slurm --nodes 8 --gpus 8 --partition gpu --dry-run
  paint with what was learned:
    python run_agent.py "two dogs" --engine training/model

ANNOTATIONS are COCO's: images (id, file_name, width, height, and `caption` where there is one), annotations (bbox, segmentation,
and `caption` where there is one, else the instance is called by its category; also `point` and `scribble` in pixels), categories.
`python -m evaluators.label` makes them from bare pictures. Pictures are cut to the square in their middle.

Data order, noise and what is dropped depend on --seed and the step alone: after a kill, --resume goes on from state.pt, and its
losses are those of a training that was never stopped, also on another number of processes if the pictures of a step stay as many.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options: the fields of a `Recipe`, and those of SLURM."""
    for name, field in Recipe.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        default = field.default
        if field.is_required():
            parser.add_argument(option, type=Path, required=True, metavar="PATH", help=field.description)
        elif isinstance(default, bool):
            parser.add_argument(option, action="store_true", help=field.description)
        else:
            said = field.description if default is None else f"{field.description} ({default})"
            metavar = "HOW" if isinstance(default, str) else "PATH" if field.annotation == Path | None else "N"
            parser.add_argument(option, metavar=metavar, default=default, help=said)
    slurm = parser.add_argument_group("SLURM (pip install -e '.[slurm]')")
    slurm.add_argument("--slurm", action="store_true", help="submit a job instead of training here")
    slurm.add_argument("--nodes", type=int, default=1, metavar="N", help="machines (1)")
    slurm.add_argument("--gpus", type=int, default=8, metavar="N", help="graphics cards of each, one process each (8)")
    slurm.add_argument("--partition", metavar="P", help="where to submit")
    slurm.add_argument(
        "--time", type=float, default=24.0, metavar="H", help="hours until the job is put back into the queue (24)"
    )
    slurm.add_argument(
        "--sbatch", action="append", default=[], metavar="NAME=VALUE", help="another option of sbatch: account=vision"
    )
    slurm.add_argument("--dry-run", action="store_true", help="print the job's script and submit nothing")


def train_sd15(args: argparse.Namespace) -> None:
    """Train, or submit a job that does."""
    recipe = Recipe.parse({name: getattr(args, name) for name in Recipe.model_fields})
    for name in ("annotations", "images", "model", "convnext"):
        if getattr(recipe, name) and not getattr(recipe, name).exists():
            raise BadInput(name, f"{getattr(recipe, name)} is not there")
    if args.slurm or args.dry_run:
        from instdiff.training.sd15.slurm import Order, script, submit

        order = Order(args.nodes, args.gpus, args.time, args.partition, tuple(args.sbatch))
        if args.dry_run:
            print(script(recipe, order))
        else:
            print(f"job {submit(recipe, order).job_id}; what it says lands in {recipe.out / 'jobs'}")
        return
    from instdiff.training.sd15.training import train

    train(recipe)


STAGES = """\
stages, in order (each reads what the ones before it wrote under --out):
  sprites      fetch the pictures of things (npm package, pinned by hash)
  encoder      solve the autoencoder's encoder, and learn the tokenizer
  scenes       compose scenes and encode them, 1000 to a file: --shards files, and half as many full of common things
  places       train text encoder and place map alone: what things look like, without noise; quick, so do it first
  painter      train UNet, UniFusion and text encoder together
  autoencoder  train the autoencoder's decoder
  decoder      train it on, half on latents as the painter makes them, so that it mends their flaws
  detector     train the detector
  judge        train the second detector, which scores benchmarks and is kept out of the loop
  bundle       write what is trained, in half precision, to --target
  unbundle     the other way round: lay the models of --target out under --out, to train on from them

With --likeness the painter and the decoder also learn to look right to the trained detector of --out, which makes shapes clearer:
train the detector first, then go on with --likeness --resume.

Training stages stop after --minutes and leave a checkpoint every few minutes; --resume goes on from it. The learning
rate stays up until a slice with --cooldown, which brings it down over its last minutes: end the last slice with one.

  python -m instdiff.train draft --stage painter --out work --minutes 60 --resume
  python -m instdiff.train draft --stage painter --out work --minutes 20 --cooldown 20 --resume
"""
CHOICES = [
    "sprites",
    "encoder",
    "scenes",
    "places",
    "painter",
    "autoencoder",
    "decoder",
    "detector",
    "judge",
    "bundle",
    "unbundle",
]
# What a stage reads under --out, and the stage that writes it.
DRAWINGS = ("sprites", "sprites")
ENCODER = ("vae", "encoder")
LEARNED_FROM = (("tokenizer", "encoder"), ("scenes/held-out", "scenes"))
NEEDS = {
    "encoder": (DRAWINGS,), "scenes": (DRAWINGS, ENCODER), "places": LEARNED_FROM, "painter": LEARNED_FROM,
    "autoencoder": (DRAWINGS, ENCODER), "detector": (DRAWINGS, ENCODER), "judge": (DRAWINGS, ENCODER),
    "decoder": (DRAWINGS, ENCODER, ("tokenizer", "encoder"), ("painter/unet", "painter")),
    "bundle": (("tokenizer", "encoder"), ENCODER, ("painter/unet", "painter")),
}  # fmt: skip
LOOKED_AT_WITH = (("detector/detector", "detector"), ("autoencoder/vae", "autoencoder"))
TOKENIZER_SEED = 2_000_000
TOKENIZER_SCENES = 6000
HELD_OUT_SHARD = 9000


def main(argv: list[str] | None = None) -> int:
    """Run one stage; returns the exit code."""
    parser = Parser(prog="python -m instdiff.train", description=__doc__)
    models = parser.add_subparsers(required=True, metavar="MODEL")
    draft = models.add_parser(
        "draft", help="the bundled models", epilog=STAGES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    draft.add_argument("--stage", required=True, choices=CHOICES)
    draft.add_argument("--out", type=Path, required=True, help="working folder")
    draft.add_argument("--minutes", type=float, default=10.0, help="how long this slice trains (10)")
    draft.add_argument(
        "--cooldown", type=float, default=0.0, help="minutes at the end with a falling learning rate (0)"
    )
    draft.add_argument(
        "--likeness", action="store_true", help="painter and decoder: look at pictures with the trained detector too"
    )
    draft.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    draft.add_argument("--batch", type=int, help="pictures a step (places and painter 24, autoencoder 8, detectors 16)")
    draft.add_argument(
        "--rate", type=float, help="learning rate (places 2e-3, painter 8e-4, autoencoder 6e-4, detectors 1.5e-3)"
    )
    draft.add_argument("--shards", type=int, default=60, help="how many files of 1000 scenes (60)")
    draft.add_argument(
        "--target", type=Path, default=Path(__file__).parent / "draft", help="folder of the bundled models"
    )
    draft.set_defaults(run=run)
    shown = {"description": HELP, "epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    sd15 = models.add_parser("sd15", help="any model, on pictures of your own", **shown)
    add_arguments(sd15)
    sd15.set_defaults(run=train_sd15)

    def work() -> int:
        args = parser.parse_args(argv)
        args.run(args)
        return 0

    return exit_code(work)


def run(args: argparse.Namespace) -> None:
    """One stage."""
    if args.likeness and args.stage not in ("painter", "decoder"):
        raise BadInput("likeness", f"is nothing that the stage {args.stage} looks at; only painter and decoder do")
    for part, stage in NEEDS.get(args.stage, ()) + (LOOKED_AT_WITH if args.likeness else ()):
        if not (args.out / part).exists():
            raise BadInput(
                "out", f"{args.out} has no {part} yet, which the stage {args.stage} reads; run the stage {stage} first"
            )
    import torch

    torch.set_flush_denormal(True)  # numbers too small to matter are many times slower on a CPU
    out = args.out
    sprites = args.out / "sprites"
    vae = args.out / "vae"
    likeness = None
    if args.likeness:
        from instdiff.training.draft.perceptual_loss import Likeness

        likeness = Likeness(out / "detector" / "detector", out / "autoencoder" / "vae")
    slice_of_time = {"minutes": args.minutes, "cooldown_minutes": args.cooldown, "resume": args.resume}
    if args.stage == "sprites":
        from instdiff.training.draft.sprites import fetch_sprites

        fetch_sprites(sprites)
    elif args.stage == "encoder":
        from instdiff.training.draft import autoencoder

        autoencoder.fit(sprites, vae)
        learn_tokenizer(sprites, out / "tokenizer")
    elif args.stage == "scenes":
        write_scenes(sprites, vae, out / "scenes", args.shards)
    elif args.stage in ("places", "painter"):
        from instdiff.training.draft import painter
        from instdiff.training.draft.sheets import painter_sheet

        places_only = args.stage == "places"
        rate = args.rate or (2e-3 if places_only else 8e-4)
        folders = (out / "scenes", out / "tokenizer", out / "painter")
        decoder = out / "autoencoder" / "vae"
        sheet = partial(painter_sheet, decoder if decoder.exists() else vae)
        more = {"places_only": places_only, "likeness": likeness, "sheet": sheet}
        painter.train(*folders, batch_size=args.batch or 24, rate=rate, **more, **slice_of_time)
    elif args.stage in ("autoencoder", "decoder"):
        from instdiff.training.draft import autoencoder

        more = {"painter": out / "painter", "tokenizer": out / "tokenizer"} if args.stage == "decoder" else {}
        folders = sprites, vae, out / "autoencoder"
        autoencoder.train(
            *folders, batch_size=args.batch or 8, rate=args.rate or 6e-4, likeness=likeness, **more, **slice_of_time
        )
    elif args.stage in ("detector", "judge"):
        from instdiff.training.draft import detector

        batch = args.batch or 16
        rate = args.rate or 1.5e-3
        is_judge = args.stage == "judge"
        detector.train(sprites, vae, out / args.stage, batch_size=batch, rate=rate, judge=is_judge, **slice_of_time)
    elif args.stage == "unbundle":
        from instdiff.training.draft.bundle import unbundle

        unbundle(args.target, out)
    else:
        from instdiff.training.draft.bundle import bundle

        print(f"{bundle(out, args.target) / 1e6:.1f} MB of weights in {args.target}")


def learn_tokenizer(sprites: Path, folder: Path) -> None:
    """Learn the tokenizer from the captions of composed scenes."""
    import numpy as np

    from instdiff.training.draft.captions import train_tokenizer
    from instdiff.training.draft.composer import Composer
    from instdiff.training.draft.sprites import load_sprites

    composer = Composer(load_sprites(sprites))
    rng = np.random.default_rng(TOKENIZER_SEED)
    scenes = [composer.compose(rng) for _ in range(TOKENIZER_SCENES)]
    train_tokenizer(words for s in scenes for words in (s.caption, *(i.caption for i in s.instances))).save_pretrained(
        folder
    )


def write_scenes(sprites: Path, vae: Path, folder: Path, shards: int) -> None:
    """Compose the training scenes, half as many full of common things, and one file of held-out ones."""
    from instdiff.model.autoencoder import PatchAutoencoder
    from instdiff.training.draft.composer import FAVOUR, Composer
    from instdiff.training.draft.scenes import write_shards
    from instdiff.training.draft.sprites import load_sprites

    drawings = load_sprites(sprites)
    autoencoder = PatchAutoencoder.from_pretrained(vae)
    composer = Composer(drawings)
    write_shards(folder / "held-out", composer, autoencoder, HELD_OUT_SHARD, HELD_OUT_SHARD + 1)
    write_shards(folder, composer, autoencoder, 0, shards)
    write_shards(folder, Composer(drawings, favour=FAVOUR), autoencoder, shards, shards + shards // 2)


if __name__ == "__main__":
    sys.exit(main())
