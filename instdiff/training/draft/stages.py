"""The stages in which the bundled models are trained, one function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTokenizer

from instdiff.model.autoencoder import PatchAutoencoder
from instdiff.training.draft.autoencoder import DecoderTask, fit, load_painter
from instdiff.training.draft.bundle import bundle, unbundle
from instdiff.training.draft.captions import train_tokenizer
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.crops import CropTask, make_crop_classifier
from instdiff.training.draft.detector import CLIP_NORM, JUDGE_SEED, DetectorTask, make_detector
from instdiff.training.draft.drawings import Drawings
from instdiff.training.draft.held_out import HeldOutPictures
from instdiff.training.draft.options import DraftOptions, Stage
from instdiff.training.draft.painter_samples import PainterScenes, SampleUnpacker
from instdiff.training.draft.painter_task import HeldOutScenes, PainterTask
from instdiff.training.draft.perceptual_loss import Likeness
from instdiff.training.draft.sheets import drawings_sheet, painter_sheet
from instdiff.training.draft.spoil import Repainter
from instdiff.training.draft.sprites import Sprite, fetch_sprites, load_sprites, usual_looks
from instdiff.training.draft.stream import SceneStream
from instdiff.training.loop import Task, TrainingPlan, make_accelerator, train

TOKENIZER_SEED = 2_000_000
TOKENIZER_SCENES = 6000
EMA = 0.998
# No two models see the same scenes.
STREAM_SEEDS = {
    "detector": 10_000_000, "judge": 11_000_000, "crops": 12_000_000, "judge-crops": 13_000_000, "painter": 14_000_000
}  # fmt: skip


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


def train_painter(options: DraftOptions) -> None:
    """Train UNet, UniFusion and text encoder together; the stage drawings leaves UNet and places as they are."""
    out = options.out
    drawings_only = options.stage == "drawings"
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
    sprites = load_sprites(out / "sprites")
    autoencoder = load_autoencoders(options)[0]
    recorder = PainterScenes(tokenizer, autoencoder)
    drawings = Drawings(Composer(sprites), tokenizer)
    seed = STREAM_SEEDS["painter"]
    unpack = SampleUnpacker(tokenizer)
    # Of two looks it would learn the mean, in which both are blurred.
    usual = usual_looks(sprites)
    with SceneStream(usual, seed, options.workers, options.buffer, recorder=recorder, unpack=unpack) as scenes:
        task = PainterTask(
            tokenizer,
            autoencoder,
            drawings,
            None if drawings_only else scenes,
            HeldOutScenes(Composer(sprites), recorder),
            start=first_parts(options),
            batch_size=options.batch or (64 if drawings_only else 32),
            likeness=load_likeness(options),
            sheet=partial(drawings_sheet, drawings)
            if drawings_only
            else partial(painter_sheet, autoencoder, tokenizer),
        )
        plan = plan_slice(options, options.stage, rate=2e-3 if drawings_only else 8e-4)
        train_slice(options, task, replace(plan, clip_norm=1.0, ema=EMA, log_every=50))


def first_parts(options: DraftOptions) -> Path | None:
    """The folder of the painter's parts to begin with where there is no state."""
    trained = [options.start] if options.start else []
    if options.resume:
        trained.append(options.out / "painter")  # a working folder may hold the bundled ones
    if options.stage == "painter":
        trained.append(options.out / "drawings")
    return next((folder for folder in trained if (folder / "unet").exists()), options.start)


def train_decoder(options: DraftOptions) -> None:
    """Train the autoencoder's decoder; the stage decoder shows it latents as the painter makes them too."""
    out = options.out
    painter = None
    if options.stage == "decoder":
        tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
        recorder = PainterScenes(tokenizer, PatchAutoencoder.from_pretrained(out / "vae"))
        painter = (load_painter(out / "painter", tokenizer, recorder.dtype["latents"].shape[0]), recorder)
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
    "drawings": train_painter,
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
