"""`InstanceDiffusionPipeline`: one layout or many in, pictures out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import diffusers
import numpy as np
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
from instdiff.model import call_settings
from instdiff.model.adapters import LoraMixin
from instdiff.model.conditions import ConditionReader, captions_of, encoded, instances_apart, slots_of
from instdiff.model.defaults import ModelDefaults, point_to_our_modules, read_defaults
from instdiff.model.inpainting import as_type, keep, pictures_to_change
from instdiff.model.sampler import Branch, EarlyLook, sample
from instdiff.model.schedulers import check_scheduler
from instdiff.model.textual_inversion import TextualInversionMixin
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion
from instdiff.model.vae_memory import VaeMemoryMixin

Generators: TypeAlias = torch.Generator | list[torch.Generator] | None  # one for all pictures, or one for each
Device: TypeAlias = torch.device | None  # None: the pipeline's own, for which diffusers looks through all weights
log = logging.getLogger(__name__)


class InstanceDiffusionOutput(BaseOutput):
    """``images``: PIL pictures, (n, H, W, 3) numpy in 0..1, (n, 3, H, W) tensors, or latents, by ``output_type``.

    Type checkers are told of PIL pictures alone, which nearly every call gives: ``images[0].save`` needs no cast.
    ``unet_evaluations`` is what they cost: how many latents the UNet was asked about, all steps together.
    """

    images: list[Image]
    unet_evaluations: int = 0


class InstanceDiffusionPipeline(LoraMixin, TextualInversionMixin, VaeMemoryMixin, DiffusionPipeline):
    """Paints layouts (Wang et al., InstanceDiffusion, CVPR 2024).

    A diffusers pipeline: `from_pretrained`, `save_pretrained`, `.to()`, `progress_bar` and the rest work as there.
    The VAE and the scheduler may be of any kind with diffusers' interface.

    For speed: ``pipe.unet.compile_repeated_blocks()``; on NVIDIA cards calls of the UNet are recorded as CUDA graphs by
    themselves. For memory: ``max_batch``, ``pipe.enable_model_cpu_offload()``, ``pipe.enable_vae_slicing()``.
    """

    model_cpu_offload_seq = "text_encoder->unifusion->unet->vae"
    _callback_tensor_inputs = ["latents", "prompt_embeds"]

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
        native_size: tuple[int, int] | list[int] | None = None,
        max_side: int | None = None,
        defaults: dict[str, Any] | None = None,
    ):
        """A pipeline of these parts, and how their model paints where a call does not say.

        Args:
            noise_scale: the starting noise is multiplied by it; below 1, a small model paints calmer and plainer
                pictures.
            strength: 1 paints from noise alone; below 1, a model with a place map paints over its first guess, under
                noise of so much of the schedule.
            num_inference_steps: denoising steps of a call that says none.
            guidance_scale: strength of classifier-free guidance of a call that says none.
            alpha: fraction of the steps with grounding of a call that says none, 0 to 1.
            mis: fraction of the steps with the Multi-Instance Sampler of a call that says none, from 0 to below 1.
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
        if "torch_dtype" not in kwargs:
            kwargs.setdefault("dtype", torch.float32)  # by itself, the text encoder would take that of its file
        pipeline = super().from_pretrained(pretrained_model_name_or_path, **(stated | kwargs))
        if "clip_sample" not in pipeline.scheduler.config:  # DDIM and its kin would by themselves
            pipeline.scheduler.register_to_config(clip_sample=False)
            log.info("%s: its scheduler says nothing of clip_sample; latents are not clipped", folder)
        return pipeline

    @classmethod
    def load_config(cls, *args, **kwargs) -> dict[str, Any] | tuple:
        """Read a model's index, as diffusers does; modules that an older version names lie in `instdiff.model` now."""
        read = super().load_config(*args, **kwargs)
        point_to_our_modules(read[0] if isinstance(read, tuple) else read)
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
    def guidance_scale(self) -> float:
        """Of the call that goes on; what a callback writes to ``_guidance_scale`` is the next step's, up to 1 off."""
        return self._guidance_scale

    @property
    def num_timesteps(self) -> int:
        """How many steps the call that goes on has."""
        return self._num_timesteps

    @property
    def interrupt(self) -> bool:
        """Whether the call that goes on ends after its step: ``pipe._interrupt = True`` asks for it."""
        return self._interrupt

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
        callback_on_step_end: Callable[[Any, int, int, dict], dict | None] | None = None,
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
        num_images_per_prompt: int | None = None,
    ) -> InstanceDiffusionOutput:
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
            callback_on_step_end: called with (pipeline, step, timestep, tensors); may return changed latents. One of
                diffusers' own is given what it names.
            callback_on_step_end_tensor_inputs: what the callback is given: ``latents`` and, to read,
                ``prompt_embeds`` (2 n, 77, D), the features of the negative captions before those of the captions.
            scheduler: a diffusers scheduler for this call, instead of the pipeline's own; see `check_scheduler` for
                those that are refused.
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
            choose_after: how many steps are gone before that.
            num_images_per_prompt: diffusers' name of ``num_images_per_layout``.

        Returns:
            The pictures, those of the first layout first; without ``return_dict`` a tuple of them.

        Raises:
            BadInput: naming the argument, before anything is painted: a number out of its range, layouts of different
                sizes, a side that the model cannot paint, latents of the wrong shape, generators that are not as many
                as the pictures, tensors for the callback that are not there, pictures to change and masks that do not
                fit the layouts, instances that are not there, a scheduler that cannot paint this; and, on the way, a
                choice of pictures that are not there.
        """
        # 1. Check what was handed in; what the call does not say is as the model has it.
        settings = call_settings.CallSettings.over(
            self.defaults, num_inference_steps=num_inference_steps, guidance_scale=guidance_scale, alpha=alpha, mis=mis,
            num_images_per_layout=num_images_per_layout if num_images_per_prompt is None else num_images_per_prompt,
            max_batch=max_batch,
            guidance_every=guidance_every, inner_every=inner_every, choose_after=choose_after, eta=eta,
            strength=strength, output_type=output_type,
        )  # fmt: skip
        options = settings.sampling(self.defaults, changes=image is not None)
        layouts = call_settings.list_of_layouts(layouts)
        size = call_settings.common_size(layouts, self.vae_scale_factor)
        each = settings.num_images_per_layout
        count = len(layouts) * each
        generators = call_settings.generator_of_each(generator, count)
        tensor_inputs = call_settings.inputs_of_callback(
            callback_on_step_end, callback_on_step_end_tensor_inputs, self._callback_tensor_inputs
        )
        every = instances_apart(apart, layouts)
        before = pictures_to_change(image, mask_image, layouts, each)
        check_scheduler(scheduler or self.scheduler, self.scheduler, options.steps_apart > 0)
        self._guidance_scale, self._num_timesteps = options.guidance_scale, options.num_inference_steps
        self._interrupt = False

        # 2. Encode captions and places, once for all pictures of a layout.
        device = self._execution_device
        alone = every if options.steps_apart else [()] * len(layouts)
        guided = options.guidance_scale != 1 or callback_on_step_end is not None  # which may change the guidance
        names = captions_of(layouts, guided)
        captions = encoded(names, *self.encode_captions(names, device))
        reader = ConditionReader(
            self.unet, self.unifusion, self.vae, captions, self._latent_size(size), device, self.unet.dtype,
            sketches=self.defaults.strength < 1, slots=slots_of(layouts, self.unet),
        )  # fmt: skip
        conditions, negatives = reader.read(layouts, alone, guided)
        conditions = [own for own in conditions for _ in range(each)]
        negatives = [negative for negative in negatives for _ in range(each)]

        # 3. Prepare the starting noise, and what it is laid over.
        shape = (count, self.unet.config.in_channels, *self._latent_size(size))
        if latents is None:
            latents = self.noise(size, generator, count, device)
        latents = call_settings.noise_of_each(latents, shape, size).to(device) * self.defaults.noise_scale
        kept = keep(self.vae, *before, self._latent_size(size), device) if before else None
        begin = None
        if kept and settings.strength < 1:
            begin = torch.cat([old.latents for old in kept])
        elif self.defaults.strength < 1:
            begin = torch.cat([sketch for own in conditions if (sketch := own[0].sketch) is not None])

        # 4. What is asked of the way.
        going = list(range(count))

        def choose_early(estimates: torch.Tensor) -> Sequence[int]:
            assert choose
            shown = self.decode_pil(estimates)
            if before:
                shown = [before.into_place(k, picture, conditions[k][0].cover) for k, picture in enumerate(shown)]
            going[:] = choose(shown)
            call_settings.check_choice(going, count)
            return going

        def tell_callback(step: int, timestep: int, pictures: list[list[Branch]]) -> None:
            if not callback_on_step_end:
                return
            wholes = [branches[0] for branches in pictures]
            texts = [branch.negative.text for branch in wholes] + [branch.condition.text for branch in wholes]
            given = {"latents": torch.cat([branch.latents for branch in wholes]), "prompt_embeds": torch.cat(texts)}
            changed = callback_on_step_end(self, step, timestep, {name: given[name] for name in tensor_inputs}) or {}
            if "latents" in changed:
                for branch, own_latents in zip(wholes, changed["latents"].split(1), strict=True):
                    branch.latents = own_latents
            if self._guidance_scale != options.guidance_scale:
                options.guidance_scale = max(self._guidance_scale, 1.0)  # 1 is off; diffusers' callbacks write 0

        # 5. Denoise.
        with self.progress_bar(total=options.num_inference_steps) as bar:

            def on_step(step: int, timestep: int, pictures: list[list[Branch]]) -> bool:
                bar.update()
                tell_callback(step, timestep, pictures)
                return not self._interrupt

            latents, evaluated = sample(
                self.unet, scheduler or self.scheduler, latents, conditions, negatives, options, on_step, generators,
                begin, kept, EarlyLook(choose_after, choose_early) if choose else None,
            )  # fmt: skip

        # 6. Decode.
        if output_type == "latent":
            images: list[Image] | np.ndarray | torch.Tensor = latents
        elif before:
            painted = zip(going, self.decode_pil(latents), strict=True)
            whole = [before.into_place(index, picture, conditions[index][0].cover) for index, picture in painted]
            images = as_type(whole, output_type)
        else:
            images = self.decode(latents, output_type)
        self.maybe_free_model_hooks()
        output: Any = InstanceDiffusionOutput(images=images, unet_evaluations=evaluated) if return_dict else (images,)
        return output

    @torch.no_grad()
    def encode_captions(self, captions: list[str], device: Device = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Captions -> token features (n, 77, D) and pooled features (n, D); what is past 77 tokens is cut off."""
        length = self.tokenizer.model_max_length
        captions = self.maybe_convert_prompt(captions)
        tokens = self.tokenizer(captions, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        encoded = self.text_encoder(tokens.input_ids.to(device or self._execution_device))
        return encoded.last_hidden_state, encoded.pooler_output

    def _latent_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of the latents of pictures of ``size`` (width, height)."""
        width, height = size
        return height // self.vae_scale_factor, width // self.vae_scale_factor

    def noise(
        self, size: tuple[int, int], generator: Generators = None, count: int = 1, device: Device = None
    ) -> torch.Tensor:
        """The starting noise (count, C, H, W) of pictures of ``size`` (width, height).

        Given to a call as ``latents``, the noise of one picture is where all layouts of the call start: what two
        layouts share then looks alike on both, and what was added to one, a part of a thing perhaps, is what differs.
        """
        shape = (count, self.unet.config.in_channels, *self._latent_size(size))
        return randn_tensor(shape, generator=generator, device=device or self._execution_device, dtype=torch.float32)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor, output_type: str = "pil") -> list[Image] | np.ndarray | torch.Tensor:
        """Latents (n, C, H, W), as they are denoised -> pictures, by ``output_type``."""
        pictures = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype), return_dict=False)[0]
        return VaeImageProcessor(vae_scale_factor=self.vae_scale_factor).postprocess(pictures, output_type=output_type)

    def decode_pil(self, latents: torch.Tensor) -> list[Image]:
        """Latents (n, C, H, W), as they are denoised -> PIL pictures."""
        pictures = self.decode(latents)
        assert isinstance(pictures, list)
        return pictures


# Where `DiffusionPipeline.from_pretrained` looks for the class that a model folder names.
diffusers.InstanceDiffusionPipeline = InstanceDiffusionPipeline
