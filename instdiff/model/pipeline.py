"""`InstanceDiffusionPipeline`: one layout or many in, pictures out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from transformers import CLIPTextModel, CLIPTokenizer

import instdiff.model.autoencoder  # noqa: F401 (diffusers loads a component's class only from a module that is imported)
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout, Point
from instdiff.model.defaults import ModelDefaults, read_defaults
from instdiff.model.grounding import POINT_REACH, Grounding, empty_grounding, place_grounding, with_text
from instdiff.model.sampler import Branch, Condition, SamplingOptions, sample
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion, slots_for, token_counts
from instdiff.world import knowledge

AROUND_SCRIBBLE = 0.03  # a fraction of the picture's side
MOST_OBLONG = 2.5  # a snake or a ladder around a point is drawn this slim at most


def with_reach(layout: Layout) -> Layout:
    """The layout with a box for every instance that has only a point or a scribble.

    The published model chooses the size of such a thing from millions of pictures. A small model that has to choose
    paints the mean of all sizes, so it is told one: around a point that of a middling thing of its known shape, moved
    into the picture; around a scribble the box of its points, and a little more.
    """
    return layout.with_instances([_reaching(instance) for instance in layout.instances])


def _reaching(instance: Instance) -> Instance:
    if instance.box or instance.mask:
        return instance
    if instance.scribble:
        xs = [p.x for p in instance.scribble.points]
        ys = [p.y for p in instance.scribble.points]
        x0, y0 = (max(min(values) - AROUND_SCRIBBLE, 0.0) for values in (xs, ys))
        x1, y1 = (min(max(values) + AROUND_SCRIBBLE, 1.0) for values in (xs, ys))
        box = Box(x0=x0, y0=y0, x1=x1, y1=y1)
    else:
        box = _around(instance.point, _shape(instance.category))
    return instance.model_copy(update={"box": box})


def _shape(category: str) -> float:
    """Width / height of a known thing, 1 of any other."""
    thing = knowledge.things().get(category)
    return min(max(thing.width_m / thing.height_m, 1 / MOST_OBLONG), MOST_OBLONG) if thing else 1.0


def _around(point: Point, shape: float) -> Box:
    """A box of about the area of the point's reach, as near to the point as the borders allow."""
    width = 2 * POINT_REACH * shape**0.5
    height = 2 * POINT_REACH / shape**0.5
    x0, y0 = (min(max(middle - side / 2, 0.0), 1.0 - side) for middle, side in ((point.x, width), (point.y, height)))
    return Box(x0=x0, y0=y0, x1=min(x0 + width, 1.0), y1=min(y0 + height, 1.0))


MOVED = {f"instdiff.{name}": f"instdiff.model.{name}" for name in ("autoencoder", "unet", "unifusion")}


class InstanceDiffusionOutput(BaseOutput):
    """``images``: PIL pictures, (n, H, W, 3) numpy in 0..1, (n, 3, H, W) tensors, or latents, by ``output_type``."""

    images: list


class InstanceDiffusionPipeline(DiffusionPipeline):
    """Paints layouts (Wang et al., InstanceDiffusion, CVPR 2024).

    A diffusers pipeline: `from_pretrained`, `save_pretrained`, `.to()`, `progress_bar` and the rest work as there.
    The VAE and the scheduler may be of any kind with diffusers' interface.

    For speed: ``pipe.unet.compile_repeated_blocks()``, or ``pipe.unet.compile(mode="reduce-overhead")`` for CUDA
    graphs. For memory: ``max_batch``, ``pipe.enable_model_cpu_offload()``, ``pipe.vae.enable_slicing()``.
    """

    model_cpu_offload_seq = "text_encoder->unifusion->unet->vae"
    _callback_tensor_inputs = ["latents"]

    def __init__(
        self,
        vae,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: InstanceUNet,
        unifusion: UniFusion,
        scheduler,
        noise_scale: float | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        alpha: float | None = None,
        mis: float | None = None,
        native_size: tuple[int, int] | None = None,
        max_side: int | None = None,
        defaults: dict[str, Any] | None = None,
    ):
        """A pipeline of these parts, and how their model paints where a call does not say.

        Args:
            noise_scale: the starting noise is multiplied by it; below 1, a small model paints calmer and plainer
            pictures. num_inference_steps, guidance_scale, alpha, mis: what a call takes where it is not given them.
            native_size: (width, height) in pixels of the pictures that the model was trained on.
            max_side: the longest side in pixels that the model paints well.
            defaults: the same by name, for what is None here; `components` has those of another pipeline.

        Raises:
            BadInput: a default is out of range.
        """
        super().__init__()
        self.register_modules(
            vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, unifusion=unifusion, scheduler=scheduler
        )
        given = {
            "noise_scale": noise_scale, "num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale,
            "alpha": alpha, "mis": mis, "native_size": native_size, "max_side": max_side,
        }  # fmt: skip
        stated = (defaults or {}) | {name: value for name, value in given.items() if value is not None}
        # Only what is stated is kept: a file that an older version wrote beside the model may state the rest.
        self.register_to_config(**ModelDefaults.parse(stated, "defaults").model_dump(include=set(stated)))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> InstanceDiffusionPipeline:
        """Load a model, as diffusers does; of a folder that an older version wrote, the defaults in its engine.json
        too.

        Raises:
            BadInput: the folder's defaults are damaged.
        """
        folder = Path(pretrained_model_name_or_path)
        stated = read_defaults(folder).stated if folder.is_dir() else {}
        return super().from_pretrained(pretrained_model_name_or_path, **(stated | kwargs))

    @classmethod
    def load_config(cls, *args, **kwargs) -> dict[str, Any] | tuple:
        """Read a model's index, as diffusers does; the modules that an older version names in it lie in
        `instdiff.model` now.
        """
        read = super().load_config(*args, **kwargs)
        config = read[0] if isinstance(read, tuple) else read
        for component in config.values():
            if isinstance(component, list) and component and component[0] in MOVED:
                component[0] = MOVED[component[0]]
        return read

    @classmethod
    def from_pipe(cls, pipeline: DiffusionPipeline, **kwargs) -> InstanceDiffusionPipeline:
        """A pipeline of another one's parts, as in diffusers, which by itself would not take a VAE of just any kind."""
        return super().from_pipe(pipeline, **({"vae": pipeline.vae} | kwargs))

    @property
    def components(self) -> dict[str, Any]:
        """What makes this pipeline again, ``InstanceDiffusionPipeline(**pipe.components)``: its parts and its
        ``defaults``.
        """
        return super().components | {"defaults": self._stated}

    @property
    def defaults(self) -> ModelDefaults:
        """How this model paints where a call does not say."""
        return ModelDefaults.parse(self._stated)

    @property
    def _stated(self) -> dict[str, Any]:
        return {name: self.config[name] for name in ModelDefaults.model_fields if self.config.get(name) is not None}

    @property
    def vae_scale_factor(self) -> int:
        """How many pixels of the picture's side are one latent."""
        config = self.vae.config
        return config["patch"] if "patch" in config else 2 ** (len(config["block_out_channels"]) - 1)

    @torch.no_grad()
    def __call__(
        self,
        layouts: Layout | list[Layout],
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        alpha: float | None = None,
        mis: float | None = None,
        num_images_per_layout: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        max_batch: int = 16,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[InstanceDiffusionPipeline, int, int, dict], dict] | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006 (diffusers' signature)
        scheduler=None,
        guidance_every: int = 1,
        inner_every: int = 1,
        eta: float | None = None,
    ) -> InstanceDiffusionOutput | tuple:
        """Paint; number of steps, guidance, alpha and mis are the model's own (see `defaults`) where they are None.

        Args:
            layouts: what to paint; several layouts of one size are painted in one batch.
            num_inference_steps: denoising steps.
            guidance_scale: strength of classifier-free guidance against the negative caption without grounding; 1 is
            off.
            alpha: fraction of steps with grounding; the rest runs on the backbone's own first convolution.
            mis: fraction of steps in which every instance is denoised on its own as well (Multi-Instance Sampler).
            num_images_per_layout: pictures of each layout, from different noise.
            generator: one, or one for each picture, of the starting noise and of what a stochastic scheduler adds in
                its steps. Make it on the CPU and a seed means the same noise on every device.
            latents: (n, C, H, W) starting noise of unit variance, instead of drawing it; of one picture (see `noise`),
            all start from it.
            max_batch: rows given to the UNet at once; a layout of n instances has 2 (n + 1) while they are denoised on
            their own.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``.
            callback_on_step_end: called with (pipeline, step, timestep, {"latents"}); may return changed latents.
            scheduler: a diffusers scheduler for this call, instead of the pipeline's own.
            guidance_every: the half without grounding is computed in every so many steps; in between, guidance leads
                where it led in the step before. 1 is exact.
            inner_every: the inner levels of the UNet are computed in every so many steps; in between, only its
            outermost is. 1 is exact.
            eta: for schedulers that take it (DDIM, TCD), how much noise they add; None is what the scheduler takes by
                itself.

        Returns:
            The pictures, those of the first layout first.

        Raises:
            BadInput: layouts of different sizes, a side that the model cannot paint, latents of the wrong shape, or
                generators that are not as many as the pictures.
        """
        defaults = self.defaults
        num_inference_steps = defaults.num_inference_steps if num_inference_steps is None else num_inference_steps
        guidance_scale = defaults.guidance_scale if guidance_scale is None else guidance_scale
        alpha = defaults.alpha if alpha is None else alpha
        mis = defaults.mis if mis is None else mis
        layouts = [layouts] if isinstance(layouts, Layout) else list(layouts)
        size = self._check(layouts)
        conditions, negatives = self._conditions(layouts, size, apart=int(mis * num_inference_steps) > 0)
        conditions, negatives = (
            [each for each in some for _ in range(num_images_per_layout)] for some in (conditions, negatives)
        )
        generators = _one_each(generator, len(conditions))
        latents = (
            self.noise(size, generator, len(conditions))
            if latents is None
            else self._given(latents, size, len(conditions))
        )
        latents = latents * defaults.noise_scale

        with self.progress_bar(total=num_inference_steps) as bar:

            def on_step(step: int, timestep: int, branches: list[list[Branch]]) -> None:
                bar.update()
                if not callback_on_step_end:
                    return
                now = {"latents": torch.cat([some[0].latents for some in branches])}
                changed = (callback_on_step_end(self, step, timestep, now) or {}).get("latents", now["latents"])
                for some, one in zip(branches, changed.split(1), strict=True):
                    some[0].latents = one

            latents = sample(
                self.unet, scheduler or self.scheduler, latents, conditions, negatives,
                SamplingOptions(
                    num_inference_steps, guidance_scale, alpha, mis, max_batch, guidance_every, inner_every, eta
                ),
                on_step=on_step, generators=generators,
            )  # fmt: skip

        images = latents if output_type == "latent" else self.decode(latents, output_type)
        self.maybe_free_model_hooks()
        return InstanceDiffusionOutput(images=images) if return_dict else (images,)

    def encode_captions(self, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Captions -> token features (n, 77, D) and pooled features (n, D); what is past 77 tokens is cut off."""
        length = self.tokenizer.model_max_length
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        encoded = self.text_encoder(tokens.input_ids.to(self._execution_device))
        return encoded.last_hidden_state, encoded.pooler_output

    def _check(self, layouts: list[Layout]) -> tuple[int, int]:
        """The one size (width, height) of all layouts."""
        sizes = {layout.size for layout in layouts}
        if len(sizes) != 1:
            raise BadInput("layouts", f"one batch has one size, not {sorted(sizes) or 'none'}")
        width, height = sizes.pop()
        if width % self.vae_scale_factor or height % self.vae_scale_factor:
            raise BadInput("size", f"{width} x {height}: both sides must be multiples of {self.vae_scale_factor}")
        return width, height

    def _conditions(
        self, layouts: list[Layout], size: tuple[int, int], apart: bool
    ) -> tuple[list[list[Condition]], list[Condition]]:
        """Per layout: the layout as a whole, then (if ``apart``) each instance alone; and the negative, shared where it
        is the same.
        """
        phrases = [[instance.caption or instance.category for instance in layout.instances] for layout in layouts]
        captions = [
            c
            for layout, some in zip(layouts, phrases, strict=True)
            for c in (layout.caption, layout.negative_caption, *some)
        ]
        captions = list(dict.fromkeys(captions))
        features, pooled = self.encode_captions(captions)
        features = dict(zip(captions, features.split(1), strict=True))
        pooled = dict(zip(captions, pooled.split(1), strict=True))
        nobody = next(iter(pooled.values()))[:0]

        slots = slots_for(max(len(some) for some in phrases), self.unet.config.instance_masked)
        counts = (
            None
            if self.unet.config.instance_masked
            else token_counts(slots, self.unifusion.seg_tokens).to(self._execution_device)
        )
        seg_size = self.unifusion.config.seg_size
        empty = with_text(empty_grounding(slots, seg_size).to(self._execution_device), nobody)
        unwanted = dict.fromkeys(layout.negative_caption for layout in layouts)
        negatives = {c: self._condition(empty, features[c], pooled[c], counts, size) for c in unwanted}

        conditions = []
        for layout, some in zip(layouts, phrases, strict=True):
            told = with_reach(layout) if self.unifusion.place_mapper else layout
            places = place_grounding(told, seg_size=seg_size, slots=slots).to(self._execution_device)
            whole = with_text(places, torch.cat([nobody, *(pooled[phrase] for phrase in some)]))
            alone = [(phrase, whole.pick(0, i)) for i, phrase in enumerate(some)] if apart else []
            pairs = [(layout.caption, whole), *alone]
            conditions.append(
                [self._condition(places, features[words], pooled[words], counts, size) for words, places in pairs]
            )
        return conditions, [negatives[layout.negative_caption] for layout in layouts]

    def _condition(
        self,
        grounding: Grounding,
        text: torch.Tensor,
        scene: torch.Tensor,
        counts: torch.Tensor | None,
        size: tuple[int, int],
    ) -> Condition:
        """One condition from its grounding, and the token features (1, 77, D) and pooled features (1, D) of its
        caption.
        """
        tokens = self.unifusion(grounding)
        latent_size = size[1] // self.vae_scale_factor, size[0] // self.vae_scale_factor
        place_map = self.unifusion.place_mapper and self.unifusion.place_mapper(grounding, scene, latent_size)
        return Condition(text.to(self.unet.dtype), tokens, grounding.regions, place_map, counts)

    def noise(
        self, size: tuple[int, int], generator: torch.Generator | list[torch.Generator] | None = None, count: int = 1
    ) -> torch.Tensor:
        """The starting noise (count, C, H, W) of pictures of ``size`` (width, height).

        Given to a call as ``latents``, the noise of one picture is where all layouts of the call start: what two
        layouts share then looks alike on both, and what was added to one, a part of a thing perhaps, is what differs.
        """
        width, height = size
        shape = (count, self.unet.config.in_channels, height // self.vae_scale_factor, width // self.vae_scale_factor)
        return randn_tensor(shape, generator=generator, device=self._execution_device, dtype=torch.float32)

    def _given(self, latents: torch.Tensor, size: tuple[int, int], count: int) -> torch.Tensor:
        """The starting noise that was given, for ``count`` pictures."""
        width, height = size
        one = (self.unet.config.in_channels, height // self.vae_scale_factor, width // self.vae_scale_factor)
        if tuple(latents.shape) not in ((count, *one), (1, *one)):
            needed = f"{(count, *one)} or {(1, *one)}" if count > 1 else str((1, *one))
            raise BadInput(
                "latents",
                f"have shape {tuple(latents.shape)}, but {count} pictures of {width} x {height} need {needed}",
            )
        return latents.expand(count, *one).to(
            self._execution_device, torch.float32
        )  # schedulers add up small differences

    def decode(self, latents: torch.Tensor, output_type: str = "pil"):
        """Latents (n, C, H, W), as they are denoised -> pictures, by ``output_type``."""
        pictures = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype), return_dict=False)[0]
        return VaeImageProcessor(vae_scale_factor=self.vae_scale_factor).postprocess(pictures, output_type=output_type)


def _one_each(generator: torch.Generator | list[torch.Generator] | None, count: int) -> list[torch.Generator] | None:
    """The generator of each of ``count`` pictures; one alone serves them all, in their order."""
    if generator is None:
        return None
    generators = generator if isinstance(generator, list) else [generator]
    if len(generators) not in (1, count):
        raise BadInput(
            "generator", f"{len(generators)} generators for {count} pictures; give one, or one for each picture"
        )
    return generators * count if len(generators) == 1 else generators
