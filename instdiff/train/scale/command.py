"""``python -m instdiff.train sd15``: its options. Importing this module costs no torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from instdiff.errors import BadInput
from instdiff.train.scale.recipe import Recipe

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
        option, default = f"--{name.replace('_', '-')}", field.default
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
    slurm.add_argument("--time", type=float, default=24.0, metavar="H", help="hours until the job is put back into the queue (24)")
    slurm.add_argument("--sbatch", action="append", default=[], metavar="NAME=VALUE", help="another option of sbatch: account=vision")
    slurm.add_argument("--dry-run", action="store_true", help="print the job's script and submit nothing")


def run(args: argparse.Namespace) -> None:
    """Train, or submit a job that does."""
    recipe = Recipe.parse({name: getattr(args, name) for name in Recipe.model_fields})
    for name in ("annotations", "images", "model", "convnext"):
        if getattr(recipe, name) and not getattr(recipe, name).exists():
            raise BadInput(name, f"{getattr(recipe, name)} is not there")
    if args.slurm or args.dry_run:
        from instdiff.train.scale.on_slurm import Order, script, submit

        order = Order(args.nodes, args.gpus, args.time, args.partition, tuple(args.sbatch))
        if args.dry_run:
            print(script(recipe, order))
        else:
            print(f"job {submit(recipe, order).job_id}; what it says lands in {recipe.out / 'jobs'}")
        return
    from instdiff.train.scale.training import train

    train(recipe)
