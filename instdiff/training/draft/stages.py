"""The stages in which the bundled models are trained, one function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.training.draft.autoencoder import DecoderTask, fit, load_painter
from instdiff.training.draft.bundle import bundle, unbundle
from instdiff.training.draft.captions import train_tokenizer
from instdiff.training.draft.composer import FAVOUR, Composer
from instdiff.training.draft.crops import CropTask, make_crop_classifier
from instdiff.training.draft.detector import CLIP_NORM, JUDGE_SEED, DetectorTask, make_detector
from instdiff.training.draft.held_out import HeldOutPictures
from instdiff.training.draft.options import DraftOptions, Stage
from instdiff.training.draft.painter import PainterTask
from instdiff.training.draft.perceptual_loss import Likeness
from instdiff.training.draft.scenes import write_shards
from instdiff.training.draft.sheets import painter_sheet
from instdiff.training.draft.spoil import Repainter
from instdiff.training.draft.sprites import Sprite, fetch_sprites, load_sprites
from instdiff.training.draft.stream import SceneStream
from instdiff.training.loop import Task, TrainingPlan, make_accelerator, train

TOKENIZER_SEED = 2_000_000
TOKENIZER_SCENES = 6000
HELD_OUT_SHARD = 9000
EMA = 0.998
# No two models see the same scenes.
STREAM_SEEDS = {"detector": 10_000_000, "judge": 11_000_000, "crops": 12_000_000, "judge-crops": 13_000_000}


def run_stage(options: DraftOptions) -> None:
    """Run one stage on its working folder."""
    torch.set_flush_denormal(True)  # numbers too small to matter are many times slower on a CPU
    try:
        STAGES[options.stage](options)
    finally:
        torch.set_flush_denormal(False)  # it holds for the whole process, which may go on with something else


def fit_encoder(options: DraftOptions) -> None:
    """Solve the autoencoder's encoder, and learn the tokenizer from the captions of composed scenes."""
    sprites = options.out / "sprites"
    fit(sprites, options.out / "vae")
    composer = Composer(load_sprites(sprites))
    rng = np.random.default_rng(TOKENIZER_SEED)
    captions = []
    for _ in range(TOKENIZER_SCENES):
        scene = composer.compose(rng)
        captions += [scene.caption, *(instance.caption for instance in scene.instances)]
    train_tokenizer(captions).save_pretrained(options.out / "tokenizer")


def write_scenes(options: DraftOptions) -> None:
    """Compose the training scenes, half as many full of common things, and one file of held-out ones."""
    folder = options.out / "scenes"
    drawings = load_sprites(options.out / "sprites")
    autoencoder = PatchAutoencoder.from_pretrained(options.out / "vae")
    composer = Composer(drawings)
    last = options.shards + options.shards // 2
    write_shards(folder / "held-out", composer, autoencoder, HELD_OUT_SHARD, HELD_OUT_SHARD + 1)
    write_shards(folder, composer, autoencoder, 0, options.shards)
    write_shards(folder, Composer(drawings, favour=FAVOUR), autoencoder, options.shards, last)


def train_painter(options: DraftOptions) -> None:
    """Train UNet, UniFusion and text encoder together; the stage places leaves the UNet as it is."""
    out = options.out
    decoder = out / "autoencoder" / "vae"
    places_only = options.stage == "places"
    task = PainterTask(
        out / "scenes",
        out / "tokenizer",
        start=out / "painter" if options.resume else None,
        batch_size=options.batch or 24,
        places_only=places_only,
        likeness=load_likeness(options),
        sheet=partial(painter_sheet, decoder if decoder.exists() else out / "vae"),
    )
    plan = plan_slice(options, "painter", rate=2e-3 if places_only else 8e-4)
    train_slice(options, task, replace(plan, clip_norm=1.0, ema=EMA, log_every=50))


def train_decoder(options: DraftOptions) -> None:
    """Train the autoencoder's decoder; the stage decoder shows it latents as the painter makes them too."""
    out = options.out
    painter = load_painter(out / "painter", out / "tokenizer") if options.stage == "decoder" else None
    task = DecoderTask(
        out / "sprites",
        out / "vae",
        start=out / "autoencoder" / "vae" if options.resume else None,
        batch_size=options.batch or 8,
        painter=painter,
        painted=out / "autoencoder" / "painted.pt",
        likeness=load_likeness(options),
    )
    plan = plan_slice(options, "autoencoder", rate=6e-4)
    train_slice(options, task, replace(plan, clip_norm=0.5, check_every=100, checkpoint_minutes=2.0))


def train_detector(options: DraftOptions) -> None:
    """Train the detector; the stage judge trains the one that scores benchmarks and is kept out of the loop."""
    judge = options.stage == "judge"
    sprites = load_sprites(options.out / "sprites")
    autoencoders = load_autoencoders(options)
    with open_stream(options, sprites, autoencoders) as stream:
        task = DetectorTask(
            make_detector(JUDGE_SEED if judge else 0, judge),
            stream,
            HeldOutPictures(Composer(sprites), autoencoders[0]),
            batch_size=options.batch or 16,
            start=first_weights(options, "detector"),
        )
        plan = plan_slice(options, options.stage, rate=1.5e-3)
        seed = STREAM_SEEDS[options.stage]
        train_slice(options, task, replace(plan, clip_norm=CLIP_NORM, ema=EMA, warmup=200, seed=seed))


def train_crops(options: DraftOptions) -> None:
    """Train the crop classifier of the detector; the stage judge-crops trains that of the judge, on other scenes."""
    judge = options.stage == "judge-crops"
    detector = options.out / ("judge" if judge else "detector") / "detector"
    sprites = load_sprites(options.out / "sprites")
    autoencoders = load_autoencoders(options)
    with open_stream(options, sprites, autoencoders) as stream:
        task = CropTask(
            make_crop_classifier(judge),
            stream,
            HeldOutPictures(Composer(sprites), autoencoders[0]),
            start=first_weights(options, "crops"),
            batch_size=options.batch or 32,
            detector=detector if detector.exists() else None,
        )
        plan = plan_slice(options, options.stage, rate=2e-3)
        train_slice(options, task, replace(plan, clip_norm=CLIP_NORM, ema=EMA, seed=STREAM_SEEDS[options.stage]))


def load_autoencoders(options: DraftOptions) -> list[PatchAutoencoder]:
    """Those that pictures are passed through: the trained one of --out, and that of --second-vae."""
    trained = options.out / "autoencoder" / "vae"
    folders = [trained if trained.exists() else options.out / "vae"]
    if options.second_vae:
        folders.append(options.second_vae)
    return [PatchAutoencoder.from_pretrained(folder) for folder in folders]


def open_stream(
    options: DraftOptions, sprites: dict[str, list[Sprite]], autoencoders: Sequence[PatchAutoencoder]
) -> SceneStream:
    """The stage's own scenes, some of them passed through the autoencoders."""
    seed = STREAM_SEEDS[options.stage]
    return SceneStream(sprites, seed, options.workers, options.buffer, change=Repainter(autoencoders))


def first_weights(options: DraftOptions, name: str) -> Path | None:
    """The folder of the model to begin with where there is no state; a working folder may hold a bundled one."""
    laid_out = options.out / options.stage / name
    return options.start or (laid_out if options.resume and laid_out.exists() else None)


def load_likeness(options: DraftOptions) -> Likeness | None:
    """What the trained detector sees, where it is asked for."""
    if not options.likeness:
        return None
    return Likeness(options.out / "detector" / "detector", options.out / "autoencoder" / "vae")


def plan_slice(options: DraftOptions, folder: str, rate: float) -> TrainingPlan:
    """The plan of one slice of time; ``rate`` is the stage's own.

    The rate stays up until a slice with a cool-down, as no slice knows how long the whole training lasts: it can be
    stopped and resumed at will.
    """
    return TrainingPlan(
        rate=options.rate or rate,
        minutes=options.minutes,
        cooldown=options.cooldown / options.minutes if options.minutes else 0.0,
        warmup=100,
        folder=options.out / folder,
        resume=options.resume,
        title=options.stage,
    )


def train_slice(options: DraftOptions, task: Task, plan: TrainingPlan) -> None:
    """Train on the device and in the precision of the options; under torchrun together with the other processes."""
    train(task, plan, make_accelerator(options.device, options.precision))


def write_bundle(options: DraftOptions) -> None:
    """Write what is trained, in half precision."""
    print(f"{bundle(options.out, options.target) / 1e6:.1f} MB of weights in {options.target}")


STAGES: dict[Stage, Callable[[DraftOptions], None]] = {
    "sprites": lambda options: fetch_sprites(options.out / "sprites"),
    "encoder": fit_encoder,
    "scenes": write_scenes,
    "places": train_painter,
    "painter": train_painter,
    "autoencoder": train_decoder,
    "decoder": train_decoder,
    "detector": train_detector,
    "judge": train_detector,
    "crops": train_crops,
    "judge-crops": train_crops,
    "bundle": write_bundle,
    "unbundle": lambda options: unbundle(options.target, options.out),
}
