"""`InstanceDiffusionPipeline`: one layout or many in, pictures out."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import PIL.Image
import torch
from diffusers import DiffusionPipeline, ModelMixin, SchedulerMixin
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL.Image import Image
from transformers import CLIPTextModel, CLIPTokenizer

import instdiff.model.autoencoder  # noqa: F401 (diffusers loads a component's class from imported modules only)
from instdiff.errors import BadInput
from instdiff.layout import Layout
from instdiff.model.adapters import LoraMixin
from instdiff.model.defaults import ModelDefaults, read_defaults
from instdiff.model.grounding import Grounding, empty_grounding, place_grounding, with_reach, with_text
from instdiff.model.inpainting import keep, match_ground, put_back
from instdiff.model.sampler import Branch, Condition, EarlyLook, SamplingOptions, sample
from instdiff.model.textual_inversion import TextualInversionMixin
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion, slots_for, token_counts
from instdiff.model.vae_memory import VaeMemoryMixin

Generators: TypeAlias = torch.Generator | list[torch.Generator] | None  # one for all pictures, or one for each
LEAST_STRENGTH = 1 / 1000  # the last of the steps that models are trained on
# Where older model folders say that our classes are.
MOVED = {f"instdiff.{name}": f"instdiff.model.{name}" for name in ("autoencoder", "unet", "unifusion")}


class EncodedCaption(NamedTuple):
    """What the text encoder gives for one caption."""

    features: torch.Tensor  # (1, 77, D)
    pooled: torch.Tensor  # (1, D)


class _ToChange(NamedTuple):
    """Of each picture of a call, the older one that it changes, and where."""

    images: list[Image]
    masks: list[Image]


class InstanceDiffusionOutput(BaseOutput):
    """``images``: PIL pictures, (n, H, W, 3) numpy in 0..1, (n, 3, H, W) tensors, or latents, by ``output_type``.

    ``unet_evaluations`` is what they cost: how many latents the UNet was asked about, all steps together.
    """

    images: list[Image] | np.ndarray | torch.Tensor
    unet_evaluations: int = 0


class InstanceDiffusionPipeline(LoraMixin, TextualInversionMixin, VaeMemoryMixin, DiffusionPipeline):
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
        vae: ModelMixin,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: InstanceUNet,
        unifusion: UniFusion,
        scheduler: SchedulerMixin,
        noise_scale: float | None = None,
        strength: float | None = None,
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
                pictures.
            strength: 1 paints from noise alone; below 1, a model with a place map paints over its first guess, under
                noise of so much of the schedule.
            num_inference_steps, guidance_scale, alpha, mis: what a call takes where it is not given them.
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
        arguments: dict[str, Any] = {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale}
        arguments |= {"alpha": alpha, "mis": mis, "noise_scale": noise_scale, "strength": strength}
        arguments |= {"native_size": native_size, "max_side": max_side}
        stated = (defaults or {}) | {name: value for name, value in arguments.items() if value is not None}
        # Only what is stated is kept: a file that an older version wrote beside the model may state the rest.
        self.register_to_config(**ModelDefaults.parse(stated, "defaults").stated)
        if self.defaults.strength < 1 and not unifusion.place_mapper:
            raise BadInput("strength", "painting begins from a place map's first guess only where there is a place map")

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> InstanceDiffusionPipeline:
        """Load a model, as diffusers does; of an older version's folder, the defaults in its engine.json too.

        Raises:
            BadInput: the folder's defaults are damaged.
        """
        folder = Path(pretrained_model_name_or_path)
        stated = read_defaults(folder).stated if folder.is_dir() else {}
        return super().from_pretrained(pretrained_model_name_or_path, **(stated | kwargs))

    @classmethod
    def load_config(cls, *args, **kwargs) -> dict[str, Any] | tuple:
        """Read a model's index, as diffusers does; modules that an older version names lie in `instdiff.model` now."""
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
        """The arguments that make this pipeline again: its parts and its ``defaults``."""
        return super().components | {"defaults": self.defaults.stated}

    @property
    def defaults(self) -> ModelDefaults:
        """How this model paints where a call does not say."""
        stated = {name: self.config[name] for name in ModelDefaults.model_fields if self.config.get(name) is not None}
        return ModelDefaults.parse(stated)

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
        generator: Generators = None,
        latents: torch.Tensor | None = None,
        max_batch: int = 16,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[InstanceDiffusionPipeline, int, int, dict], dict] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        scheduler: SchedulerMixin | None = None,
        guidance_every: int = 1,
        inner_every: int = 1,
        eta: float | None = None,
        image: Image | list[Image] | None = None,
        mask_image: Image | list[Image] | None = None,
        strength: float = 1.0,
        apart: Sequence[Collection[int]] | None = None,
        choose: Callable[[list[Image]], Sequence[int]] | None = None,
        choose_after: int = 1,
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
            callback_on_step_end_tensor_inputs: what the callback is given: the latents, or nothing.
            scheduler: a diffusers scheduler for this call, instead of the pipeline's own.
            guidance_every: the half without grounding is computed in every so many steps; in between, guidance leads
                where it led in the step before. 1 is exact.
            inner_every: the inner levels of the UNet are computed in every so many steps; in between, only its
                outermost is. 1 is exact.
            eta: for schedulers that take it (DDIM, TCD), how much noise they add; None is what the scheduler takes by
                itself.
            image: a picture to change, of the layouts' size, or one for each layout.
            mask_image: where it is changed: white is painted anew, and every pixel that is black stays as it is; or
                one for each layout. None changes it everywhere.
            strength: how much of what was there is painted over, above 0 to 1; at 1 nothing shines through.
            apart: for each layout the indices of the instances that are denoised on their own in the ``mis`` steps;
                None is all of them.
            choose: looks at all pictures as far as they can be told after ``choose_after`` steps, and says by their
                indices which of them go on.

        Returns:
            The pictures, those of the first layout first.

        Raises:
            BadInput: layouts of different sizes, a side that the model cannot paint, latents of the wrong shape,
                generators that are not as many as the pictures, tensors for the callback that are not there, pictures
                to change and masks that do not fit the layouts, instances or a choice that are not there, or a
                scheduler that cannot paint a part of a picture (see `sample`).
        """
        # 1. What the call does not say is as the model has it.
        asked = {
            "num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale, "alpha": alpha, "mis": mis
        }  # fmt: skip
        settings = self.defaults.model_copy(update={name: value for name, value in asked.items() if value is not None})
        if not 0 < strength <= 1:
            raise BadInput("strength", f"{strength} is outside of 0..1 (0 excluded)")
        share = 1.0 if image is None else strength
        options = SamplingOptions(
            max(round(share * settings.num_inference_steps), 1), settings.guidance_scale, settings.alpha, settings.mis,
            max_batch, guidance_every, inner_every, eta, max(settings.strength * share, LEAST_STRENGTH),
        )  # fmt: skip

        # 2. Check what was handed in.
        layouts = [layouts] if isinstance(layouts, Layout) else list(layouts)
        size = self._common_size(layouts)
        count = len(layouts) * num_images_per_layout
        generators = _generator_of_each(generator, count)
        for name in set(callback_on_step_end_tensor_inputs) - set(self._callback_tensor_inputs):
            reason = f'"{name}" is not there; give {self._callback_tensor_inputs}'
            raise BadInput("callback_on_step_end_tensor_inputs", reason)

        # 3. Encode captions and places, once for all pictures of a layout.
        every = _apart(apart, layouts)
        conditions, negatives = self._conditions(layouts, size, every if options.steps_apart else [()] * len(layouts))
        conditions = [own for own in conditions for _ in range(num_images_per_layout)]
        negatives = [negative for negative in negatives for _ in range(num_images_per_layout)]

        # 4. Prepare the starting noise.
        latents = self.noise(size, generator, count) if latents is None else self._starting_noise(latents, size, count)
        latents = latents * settings.noise_scale
        before = _images_to_change(image, mask_image, layouts, num_images_per_layout)
        kept = keep(self.vae, *before, self._latent_size(size), self._execution_device) if before else None
        begin = None
        if kept and share < 1:
            begin = torch.cat([old.latents for old in kept])
        elif self.defaults.strength < 1:
            begin = torch.cat([sketch for own in conditions if (sketch := own[0].sketch) is not None])
        going = list(range(count))

        def into_place(index: int, picture: Image) -> Image:
            """A new picture in what stays of the one that it changes."""
            assert before
            old, mask = before.images[index], before.masks[index]
            cover = conditions[index][0].cover
            return put_back(old, picture if cover is None else match_ground(old, picture, mask, cover), mask)

        def choose_early(estimates: torch.Tensor) -> Sequence[int]:
            assert choose
            shown = self.decode_pil(estimates)
            if before:
                shown = [into_place(index, picture) for index, picture in enumerate(shown)]
            going[:] = choose(shown)
            if not going or len(set(going)) < len(going) or not set(going) <= set(range(count)):
                raise BadInput("choose", f"says {going}; give one or more of the {count} pictures, each of them once")
            return going

        look = EarlyLook(choose_after, choose_early) if choose else None

        # 5. Denoise.
        with self.progress_bar(total=options.num_inference_steps) as bar:

            def on_step(step: int, timestep: int, pictures: list[list[Branch]]) -> None:
                bar.update()
                if callback_on_step_end:
                    tensors = {"latents": torch.cat([branches[0].latents for branches in pictures])}
                    tensors = {name: tensors[name] for name in callback_on_step_end_tensor_inputs}
                    changed = callback_on_step_end(self, step, timestep, tensors) or {}
                    if "latents" in changed:
                        for branches, own_latents in zip(pictures, changed["latents"].split(1), strict=True):
                            branches[0].latents = own_latents

            latents, evaluated = sample(
                self.unet, scheduler or self.scheduler, latents, conditions, negatives, options, on_step, generators,
                begin, kept, look,
            )  # fmt: skip

        # 6. Decode.
        if output_type == "latent":
            images: list[Image] | np.ndarray | torch.Tensor = latents
        elif before:
            painted = zip(going, self.decode_pil(latents), strict=True)
            whole = [into_place(index, picture) for index, picture in painted]
            images = _as_type(whole, output_type)
        else:
            images = self.decode(latents, output_type)
        self.maybe_free_model_hooks()
        return InstanceDiffusionOutput(images=images, unet_evaluations=evaluated) if return_dict else (images,)

    def encode_captions(self, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Captions -> token features (n, 77, D) and pooled features (n, D); what is past 77 tokens is cut off."""
        length = self.tokenizer.model_max_length
        captions = self.maybe_convert_prompt(captions)
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        encoded = self.text_encoder(tokens.input_ids.to(self._execution_device))
        return encoded.last_hidden_state, encoded.pooler_output

    def _common_size(self, layouts: list[Layout]) -> tuple[int, int]:
        """The one size (width, height) of all layouts."""
        sizes = {layout.size for layout in layouts}
        if len(sizes) != 1:
            raise BadInput("layouts", f"one batch has one size, not {sorted(sizes) or 'none'}")
        width, height = sizes.pop()
        if width % self.vae_scale_factor or height % self.vae_scale_factor:
            raise BadInput("size", f"{width} x {height}: both sides must be multiples of {self.vae_scale_factor}")
        return width, height

    def _conditions(
        self, layouts: list[Layout], size: tuple[int, int], apart: Sequence[Collection[int]]
    ) -> tuple[list[list[Condition]], list[Condition]]:
        """Per layout: the whole, then each instance of ``apart`` alone; and the negative, shared where the same."""
        encoded = self._encode_all(layouts)
        no_text = next(iter(encoded.values())).pooled[:0]  # (0, D)
        masked = self.unet.config.instance_masked
        slots = slots_for(max(len(layout.instances) for layout in layouts), masked)
        counts = None if masked else token_counts(slots, self.unifusion.seg_tokens).to(self._execution_device)
        seg_size = self.unifusion.config.seg_size
        latent_size = self._latent_size(size)

        def condition(grounding: Grounding, caption: str) -> Condition:
            text, pooled = encoded[caption]
            tokens = self.unifusion(grounding)
            place_map = sketch = cover = None
            if mapper := self.unifusion.place_mapper:
                guess = mapper.guess(grounding, pooled, latent_size)
                place_map = mapper.vectors(guess)
                if self.defaults.strength < 1:
                    sketch = self.vae.encode_sketch(guess[:, :3], latent_size)
                cover = guess[0, 3]
            return Condition(text.to(self.unet.dtype), tokens, grounding.regions, place_map, counts, sketch, cover)

        nowhere = with_text(empty_grounding(slots, seg_size).to(self._execution_device), no_text)
        unwanted = dict.fromkeys(layout.negative_caption for layout in layouts)
        negatives = {caption: condition(nowhere, caption) for caption in unwanted}

        conditions = []
        for layout, alone in zip(layouts, apart, strict=True):
            phrases = [instance.caption or instance.category for instance in layout.instances]
            placed = with_reach(layout) if self.unifusion.place_mapper else layout
            places = place_grounding(placed, seg_size=seg_size, slots=slots).to(self._execution_device)
            whole = with_text(places, torch.cat([no_text, *(encoded[phrase].pooled for phrase in phrases)]))
            branches = [condition(whole.pick(0, i), phrases[i]) for i in sorted(alone)]
            conditions.append([condition(whole, layout.caption), *branches])
        return conditions, [negatives[layout.negative_caption] for layout in layouts]

    def _encode_all(self, layouts: list[Layout]) -> dict[str, EncodedCaption]:
        """Every caption of the layouts and of their instances, encoded once, in one batch."""
        captions: dict[str, None] = {}
        for layout in layouts:
            phrases = [instance.caption or instance.category for instance in layout.instances]
            captions |= dict.fromkeys((layout.caption, layout.negative_caption, *phrases))
        features, pooled = self.encode_captions(list(captions))
        pairs = zip(features.split(1), pooled.split(1), strict=True)
        return {caption: EncodedCaption(*pair) for caption, pair in zip(captions, pairs, strict=True)}

    def _latent_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of the latents of pictures of ``size`` (width, height)."""
        width, height = size
        return height // self.vae_scale_factor, width // self.vae_scale_factor

    def noise(self, size: tuple[int, int], generator: Generators = None, count: int = 1) -> torch.Tensor:
        """The starting noise (count, C, H, W) of pictures of ``size`` (width, height).

        Given to a call as ``latents``, the noise of one picture is where all layouts of the call start: what two
        layouts share then looks alike on both, and what was added to one, a part of a thing perhaps, is what differs.
        """
        shape = (count, self.unet.config.in_channels, *self._latent_size(size))
        return randn_tensor(shape, generator=generator, device=self._execution_device, dtype=torch.float32)

    def _starting_noise(self, latents: torch.Tensor, size: tuple[int, int], count: int) -> torch.Tensor:
        """The noise that was handed in, for ``count`` pictures; float32, as schedulers add up small differences."""
        shape = (self.unet.config.in_channels, *self._latent_size(size))
        if tuple(latents.shape) not in ((count, *shape), (1, *shape)):
            needed = f"{(count, *shape)} or {(1, *shape)}" if count > 1 else str((1, *shape))
            pictures = f"{count} pictures of {size[0]} x {size[1]}"
            raise BadInput("latents", f"have shape {tuple(latents.shape)}, but {pictures} need {needed}")
        return latents.expand(count, *shape).to(self._execution_device, torch.float32)

    def decode(self, latents: torch.Tensor, output_type: str = "pil") -> list[Image] | np.ndarray | torch.Tensor:
        """Latents (n, C, H, W), as they are denoised -> pictures, by ``output_type``."""
        pictures = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype), return_dict=False)[0]
        return VaeImageProcessor(vae_scale_factor=self.vae_scale_factor).postprocess(pictures, output_type=output_type)

    def decode_pil(self, latents: torch.Tensor) -> list[Image]:
        """Latents (n, C, H, W), as they are denoised -> PIL pictures."""
        pictures = self.decode(latents)
        assert isinstance(pictures, list)
        return pictures


def _generator_of_each(generator: Generators, count: int) -> list[torch.Generator] | None:
    """The generator of each of ``count`` pictures; one alone serves them all, in their order."""
    if generator is None:
        return None
    generators = generator if isinstance(generator, list) else [generator]
    if len(generators) not in (1, count):
        raise BadInput("generator", f"{len(generators)} generators for {count} pictures; give one, or one for each")
    return generators * count if len(generators) == 1 else generators


def _apart(given: Sequence[Collection[int]] | None, layouts: list[Layout]) -> Sequence[Collection[int]]:
    """For each layout the indices of the instances that are denoised on their own: those given, else all."""
    if given is None:
        return [range(len(layout.instances)) for layout in layouts]
    if len(given) != len(layouts):
        raise BadInput("apart", f"{len(given)} for {len(layouts)} layouts; give one for each")
    for own, layout in zip(given, layouts, strict=True):
        if unknown := sorted(set(own) - set(range(len(layout.instances)))):
            raise BadInput("apart", f"{unknown} of a layout that has {len(layout.instances)} instances, counted from 0")
    return given


def _images_to_change(
    image: Image | list[Image] | None, mask: Image | list[Image] | None, layouts: list[Layout], each: int
) -> _ToChange | None:
    """What a call is to change, for ``each`` picture of every layout; None where it paints from nothing."""
    if image is None:
        if mask is not None:
            raise BadInput("mask_image", "says where to change an image, and none is given")
        return None
    images = image if isinstance(image, list) else [image] * len(layouts)
    masks = mask if isinstance(mask, list) else [mask or PIL.Image.new("L", layouts[0].size, "white")] * len(layouts)
    for name, given in (("image", images), ("mask_image", masks)):
        if len(given) != len(layouts):
            raise BadInput(name, f"{len(given)} for {len(layouts)} layouts; give one, or one for each")
        if wrong := next((one.size for one in given if one.size != layouts[0].size), None):
            raise BadInput(
                name, f"has {wrong[0]} x {wrong[1]} pixels, and the layouts {layouts[0].width} x {layouts[0].height}"
            )
    return _ToChange([one for one in images for _ in range(each)], [one for one in masks for _ in range(each)])


def _as_type(images: list[Image], output_type: str) -> list[Image] | np.ndarray | torch.Tensor:
    """Pictures by a diffusers ``output_type``."""
    if output_type == "pil":
        return images
    arrays = VaeImageProcessor.pil_to_numpy(images)
    return arrays if output_type == "np" else VaeImageProcessor.numpy_to_pt(arrays)
