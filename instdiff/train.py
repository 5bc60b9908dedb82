"""``instdiff-agent train``: trains the bundled draft models by stages, and models of any size on your pictures."""

from __future__ import annotations

import argparse
import sys

from instdiff.cli import DONE, Parser, add_options, exit_code, given_values
from instdiff.training.draft.options import DraftOptions
from instdiff.training.sd15.recipe import TrainingRecipe

HELP = """\
Trains UniFusion, the gated self-attention and ScaleU on pictures with annotations; backbone, text encoder and
autoencoder stay as they are. The loss is that of the model's scheduler (Stable Diffusion: the noise). Kinds of place,
captions and instances are dropped at random, as in the published training.
"""
EXAMPLES = """\
examples:
  new blocks with closed gates on Stable Diffusion 1.5, then train them:
    instdiff-agent convert v1-5-pruned-emaonly.safetensors --out models/start
    hf download facebook/convnext-tiny-224 --local-dir models/convnext
    instdiff-agent train sd15 --model models/start --convnext models/convnext --annotations train.json \\
        --images pictures/ --out training --precision bf16 --gradient-checkpointing
  on all graphics cards of one machine, and of several:
    torchrun --nproc_per_node 8 -m instdiff.train sd15 ...
    torchrun --nnodes 8 --nproc_per_node 8 --rdzv_backend c10d --rdzv_endpoint HOST:29500 -m instdiff.train sd15 ...
  the published training: 64 graphics cards under SLURM, as one job that goes on when its time is over:
    instdiff-agent train sd15 ... --batch 8 --slurm --nodes 8 --gpus 8 --partition gpu --time 72
  see what would be submitted:
    instdiff-agent train sd15 ... --slurm --nodes 8 --gpus 8 --partition gpu --dry-run
  paint with what was learned:
    instdiff-agent make "two dogs" --engine training/model

ANNOTATIONS are COCO's: images (id, file_name, width, height, and `caption` where there is one), annotations (bbox,
segmentation, and `caption` where there is one, else the instance is called by its category; also `point` and `scribble`
in pixels), categories. `instdiff-agent label` makes them from bare pictures. Pictures are cut to the square in
their middle.

Data order, noise and what is dropped depend on --seed and the step alone: after a kill, --resume goes on from the last
state, and its losses are those of a training that was never stopped, also on another number of processes if the
pictures of a step stay as many.
"""
DOOR_EXAMPLES = """\
examples:
  instdiff-agent train sd15 --help       what is needed, from Stable Diffusion to a picture, and for SLURM
  instdiff-agent train draft --help      the stages of the bundled models
  instdiff-agent train draft --stage sprites --out training
"""
STAGES_HELP = """\
stages, in order (each reads what the ones before it wrote under --out):
  sprites      fetch the pictures of things (npm package, pinned by hash)
  encoder      solve the autoencoder's encoder, and learn the tokenizer
  drawings     train the text encoder and the drawings: what each thing looks like alone; quick, so do it first
  painter      train UNet, UniFusion and text encoder together on scenes
  autoencoder  train the autoencoder's decoder
  decoder      train it on, half on latents as the painter makes them, so that it mends their flaws
  detector     train the detector
  judge        train the second detector, which scores benchmarks and is kept out of the loop
  crops        train the detector's second look, which says what is in one place of a picture
  judge-crops  train that of the judge
  bundle       write what is trained to --target, in half precision, UNet and crops in one byte a weight
  unbundle     the other way round: lay the models of --target out under --out, to train on from them

With --likeness the painter and the decoder also learn to look right to the trained detector of --out, which makes
shapes clearer: train the detector first, then go on with --likeness --resume.

Training stages stop after --minutes and leave a checkpoint every few minutes; --resume goes on from it. The learning
rate stays up until a slice with --cooldown, which brings it down over its last minutes: end the last slice with one.

Scenes for the painter, the detectors and their crops are composed as these train, by --workers processes. With --start
they begin with the weights of a folder, such as instdiff/draft, instdiff/draft/detector or
instdiff/draft/detector/crops; crops without it begin with the layers of the detector in --out.

  instdiff-agent train draft --stage painter --out work --minutes 60 --resume
  instdiff-agent train draft --stage painter --out work --minutes 20 --cooldown 20 --resume
  instdiff-agent train draft --stage detector --out work --minutes 60 --cooldown 30 --start instdiff/draft/detector
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="instdiff-agent train", description=__doc__, epilog=DOOR_EXAMPLES, formatter_class=raw)
    models = parser.add_subparsers(required=True, metavar="MODEL")
    draft = models.add_parser("draft", help="the bundled models", epilog=STAGES_HELP, formatter_class=raw)
    add_options(draft, DraftOptions)
    draft.set_defaults(run=train_draft)
    sd15 = models.add_parser(
        "sd15", help="any model, on pictures of your own", description=HELP, epilog=EXAMPLES, formatter_class=raw
    )
    add_options(sd15, TrainingRecipe)
    add_slurm_options(sd15)
    sd15.set_defaults(run=train_sd15)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one stage, or train a model; returns the exit code."""

    def work() -> int:
        args = build_parser().parse_args(argv)
        args.run(args)
        return DONE

    return exit_code(work)


def add_slurm_options(parser: argparse.ArgumentParser) -> None:
    """The options of a job."""
    slurm = parser.add_argument_group("SLURM (pip install -e '.[slurm]')")
    slurm.add_argument("--slurm", action="store_true", help="submit a job instead of training here")
    slurm.add_argument("--nodes", type=int, default=1, metavar="N", help="machines (1)")
    slurm.add_argument("--gpus", type=int, default=8, metavar="N", help="graphics cards of each, one process each (8)")
    slurm.add_argument("--partition", metavar="P", help="where to submit")
    hours = "hours until the job is put back into the queue (24)"
    slurm.add_argument("--time", type=float, default=24.0, metavar="H", help=hours)
    more = "another option of sbatch: account=vision"
    slurm.add_argument("--sbatch", action="append", default=[], metavar="NAME=VALUE", help=more)
    slurm.add_argument("--dry-run", action="store_true", help="print the job's script and submit nothing")


def train_draft(args: argparse.Namespace) -> None:
    """Run one stage of the bundled models."""
    options = DraftOptions.parse(given_values(DraftOptions, vars(args)))
    options.check_folder()
    from instdiff.training.draft.stages import run_stage

    run_stage(options)


def train_sd15(args: argparse.Namespace) -> None:
    """Train, or submit a job that does."""
    recipe = TrainingRecipe.parse(given_values(TrainingRecipe, vars(args)))
    if args.slurm or args.dry_run:
        from instdiff.training.sd15.slurm import SlurmOrder, job_script, submit

        order = SlurmOrder(args.nodes, args.gpus, args.time, args.partition, tuple(args.sbatch))
        if args.dry_run:
            print(job_script(recipe, order))
        else:
            print(f"job {submit(recipe, order).job_id}; what it says lands in {recipe.out / 'jobs'}")
        return
    from instdiff.training.sd15.training import train

    train(recipe)


if __name__ == "__main__":
    sys.exit(main())
