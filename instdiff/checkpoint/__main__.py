"""``instdiff-agent convert``: InstanceDiffusion and Stable Diffusion checkpoints -> a model folder, and back."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from instdiff.cli import DONE, Parser, exit_code, input_file, input_folder, input_path, output_path
from instdiff.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

    from instdiff.checkpoint.convert import AssembledModel

EXAMPLES = """\
CHECKPOINT is one of
  instancediffusion_sd15.pth       the published model, or what its training writes
  v1-5-pruned-emaonly.safetensors  Stable Diffusion 1.x in one file (.ckpt or .safetensors), or a folder in diffusers
                                   layout: gets new InstanceDiffusion blocks with closed gates, to train on from
  a model folder                   that this command wrote

examples:
  the published model, fetched and converted in one command: instdiff-agent models get sd15
  the published model, as the reference runs it (its last steps use Stable Diffusion's own first convolution):
    instdiff-agent convert instancediffusion_sd15.pth --stock v1-5-pruned-emaonly.safetensors \\
        --dtype fp16 --out models/instancediffusion-sd15
    INSTDIFF_MODELS=models instdiff-agent make "two dogs" --engine sd15
  InstanceDiffusion on another backbone, a fine-tune of Stable Diffusion 1.x, with a LoRA in it:
    instdiff-agent convert instancediffusion_sd15.pth --backbone dreamshaper/ --lora style.safetensors \\
        --out models/dreamshaper
  a Stable Diffusion without a VAE, and one for it:
    instdiff-agent convert pruned.safetensors --vae vae-ft-mse-840000-ema-pruned.safetensors --out models/pruned
  a LoRA of few steps (LCM-LoRA, Hyper-SD), and a model that paints with it by itself:
    instdiff-agent convert models/instancediffusion-sd15 --lora lcm.safetensors --scheduler lcm --steps 8 \\
      --guidance 1.5 --out models/few

  back to the reference's file and names:
    instdiff-agent convert models/instancediffusion-sd15 --to-reference --out back.pth

Nothing in a checkpoint is run: tensors and plain values pass, a file that asks for more is refused. Nothing is
downloaded: CLIP's tokenizer comes from --tokenizer, from the backbone's folder, or from the Hugging Face cache.

exit codes: 0 done, 2 bad input (one line says what and where)
"""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="instdiff-agent convert",
        description="InstanceDiffusion and Stable Diffusion 1.x checkpoints become a model folder, and back.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    out = "the model folder (or, with --to-reference, the file) to write"
    stock = "take only Stable Diffusion's first convolution from here; also SD_v1_5_input_conv_weight_bias.pth"
    tokenizer = (
        "CLIP's: vocab.json and merges.txt; a config.json beside them tells the heads of an unusual text encoder"
    )
    backbone = "put the blocks on this Stable Diffusion 1.x: file or folder"
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="a file or folder, see below")
    parser.add_argument("--out", metavar="PATH", type=output_path, required=True, help=out)
    parser.add_argument("--backbone", metavar="SD", type=input_path, help=backbone)
    parser.add_argument("--stock", metavar="SD", type=input_path, help=stock)
    vae = "take the VAE from this file or folder: for a checkpoint without one, or instead of its own"
    parser.add_argument("--vae", metavar="VAE", type=input_path, help=vae)
    parser.add_argument("--lora", metavar="FILE", type=input_file, help="merge a LoRA (diffusers, peft or kohya)")
    parser.add_argument("--lora-scale", metavar="X", type=float, default=1.0, help="strength of the LoRA (1.0)")
    few = "paint with this scheduler by itself: what a LoRA of few steps needs (as it did)"
    parser.add_argument("--scheduler", choices=("lcm", "tcd", "ddim", "dpm++"), help=few)
    parser.add_argument("--steps", metavar="N", type=int, help="denoising steps by itself (as it did)")
    parser.add_argument("--guidance", metavar="X", type=float, help="strength of guidance by itself (as it did)")
    parser.add_argument("--tokenizer", metavar="FOLDER", type=input_folder, help=tokenizer)
    averaged = "averaged weights, where there are some (yes)"
    parser.add_argument("--ema", action=argparse.BooleanOptionalAction, default=True, help=averaged)
    parser.add_argument("--dtype", choices=("fp16", "fp32"), help="of the weights that are written (as they are)")
    parser.add_argument("--to-reference", action="store_true", help="write a .pth with the reference's names")
    parser.add_argument("--force", action="store_true", help="replace a model folder or file that exists")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Convert; the exit code is returned."""
    return exit_code(lambda: run(build_parser().parse_args(argv)), lambda: "; nothing is left behind")


def run(args: argparse.Namespace) -> int:
    """Open, show the account, write."""
    if args.backbone and args.stock:
        raise BadInput("stock", "cannot be used together with --backbone, which has a first convolution of its own")
    if not args.checkpoint.exists():
        raise BadInput(str(args.checkpoint), "there is no such file or folder")

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from instdiff.checkpoint.convert import Painting, assemble, check_target, write_checkpoint, write_folder

    painting = Painting(args.scheduler or "own", args.steps, args.guidance)
    if args.to_reference and painting != Painting():
        raise BadInput("to-reference", "writes weights alone; leave out --scheduler, --steps and --guidance")
    _ = painting.stated  # refused before anything is read
    check_target(args.out, args.force)
    model = assemble(
        args.checkpoint, backbone=args.backbone, stock=args.stock, lora=args.lora, lora_scale=args.lora_scale,
        tokenizer=args.tokenizer, ema=args.ema, dtype=args.dtype, vae=args.vae,
    )  # fmt: skip
    show(model, Console())
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("converting", total=model.nbytes)

        def on_bytes(count: int) -> None:
            progress.advance(task, count)

        if args.to_reference:
            from instdiff.checkpoint.reference import reference_content

            write_checkpoint(reference_content(model, on_bytes), model.nbytes, args.out, args.force)
        else:
            write_folder(model, args.out, args.force, on_bytes, painting)
    hint = "" if args.to_reference else f'; paint with: instdiff-agent make "two dogs" --engine {args.out}'
    print(f"{args.out}: {model.nbytes / 1e6:.1f} MB of weights{hint}")
    return DONE


def show(model: AssembledModel, console: Console) -> None:
    """Print the account of all tensors."""
    from rich.table import Table

    table = Table("source", "part", *("tensors read", "converted", "left out", "made new"))
    for row in model.rows:
        numbers = (row.read, row.converted, row.read - row.converted, row.new)
        table.add_row(row.source, row.part, *map(str, numbers))
    console.print(table)
    for line in [note for row in model.rows for note in row.notes] + model.notes:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
