"""`InstanceDiffusionPipeline`: one layout or many in, pictures out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from transformers import CLIPTextModel, CLIPTokenizer

import instdiff.autoencoder  # noqa: F401 (diffusers loads a component's class only from a module that is imported)
from instdiff.errors import BadInput
from instdiff.grounding import empty_grounding, place_grounding, with_text
from instdiff.layout import Layout
from instdiff.sampler import Branch, Condition, sample
from instdiff.unet import InstanceUNet
from instdiff.unifusion import UniFusion


class InstanceDiffusionOutput(BaseOutput):
    """``images``: PIL pictures, (n, H, W, 3) numpy in 0..1, (n, 3, H, W) tensors, or latents, by ``output_type``."""

    images: list


class InstanceDiffusionPipeline(DiffusionPipeline):
    """Paints layouts (Wang et al., InstanceDiffusion, CVPR 2024).

    A diffusers pipeline: `from_pretrained`, `save_pretrained`, `.to()`, `progress_bar` and the rest work as there.
    The VAE and the scheduler may be of any kind with diffusers' interface.
    """

    model_cpu_offload_seq = "text_encoder->unifusion->unet->vae"
    _callback_tensor_inputs = ["latents"]

    def __init__(self, vae, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, unet: InstanceUNet, unifusion: UniFusion, scheduler):
        super().__init__()
        self.register_modules(vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, unifusion=unifusion, scheduler=scheduler)

    @property
    def vae_scale_factor(self) -> int:
        """How many pixels of the picture's side are one latent."""
        config = self.vae.config
        return config["patch"] if "patch" in config else 2 ** (len(config["block_out_channels"]) - 1)

    @torch.no_grad()
    def __call__(
        self,
        layouts: Layout | list[Layout],
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        alpha: float = 0.8,
        mis: float = 0.36,
        num_images_per_layout: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[InstanceDiffusionPipeline, int, int, dict], dict] | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],  # noqa: B006 (diffusers' signature)
    ) -> InstanceDiffusionOutput | tuple:
        """Paint.

        Args:
            layouts: what to paint; several layouts of one size are painted in one batch.
            num_inference_steps: denoising steps.
            guidance_scale: strength of classifier-free guidance against the negative caption without grounding; 1 is off.
            alpha: fraction of steps with grounding; the rest runs on the backbone's own first convolution.
            mis: fraction of steps in which every instance is denoised on its own as well (Multi-Instance Sampler).
            num_images_per_layout: pictures of each layout, from different noise.
            generator: one, or one for each picture. Make it on the CPU and a seed means the same noise on every device.
            latents: (n, C, H, W) starting noise of unit variance, instead of drawing it.
            output_type: ``pil``, ``np``, ``pt`` or ``latent``.
            callback_on_step_end: called with (pipeline, step, timestep, {"latents"}); may return changed latents.

        Returns:
            The pictures, those of the first layout first.

        Raises:
            BadInput: layouts of different sizes, a side that the model cannot paint, or latents of the wrong shape.
        """
        layouts = [layouts] if isinstance(layouts, Layout) else list(layouts)
        size = self._check(layouts)
        prepared = [self._conditions(layout, size, apart=int(mis * num_inference_steps) > 0) for layout in layouts]
        prepared = [each for each in prepared for _ in range(num_images_per_layout)]
        latents = self._noise(len(prepared), size, generator, latents)

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
                self.unet, self.scheduler, latents, [c for c, _ in prepared], [n for _, n in prepared], num_inference_steps,
                guidance_scale, alpha, mis, on_step=on_step,
            )  # fmt: skip

        images = latents if output_type == "latent" else self._decode(latents, output_type)
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

    def _conditions(self, layout: Layout, size: tuple[int, int], apart: bool) -> tuple[list[Condition], Condition]:
        """The layout as a whole, then (if ``apart``) each instance alone; and the negative."""
        device, dtype = self._execution_device, self.unet.dtype
        phrases = [instance.caption or instance.category for instance in layout.instances]
        features, pooled = self.encode_captions([layout.caption, layout.negative_caption, *phrases])
        seg_size = self.unifusion.config.seg_size
        latent_size = size[1] // self.vae_scale_factor, size[0] // self.vae_scale_factor
        places = place_grounding(layout, seg_size=seg_size).to(device, dtype)
        whole = with_text(places, pooled[2:].to(dtype))
        nothing = with_text(empty_grounding(seg_size=seg_size).to(device, dtype), pooled[:0].to(dtype))

        def condition(text, grounding):
            place_map = self.unifusion.place_mapper and self.unifusion.place_mapper(grounding, latent_size)
            return Condition(text[None].to(dtype), self.unifusion(grounding), grounding.regions, place_map)

        conditions = [condition(features[0], whole)]
        if apart:
            conditions += [condition(features[2 + i], whole.pick(0, i)) for i in range(len(phrases))]
        return conditions, condition(features[1], nothing)

    def _noise(self, count: int, size: tuple[int, int], generator, latents: torch.Tensor | None) -> torch.Tensor:
        width, height = size
        shape = (count, self.unet.config.in_channels, height // self.vae_scale_factor, width // self.vae_scale_factor)
        if latents is None:
            return randn_tensor(shape, generator=generator, device=self._execution_device, dtype=self.unet.dtype)
        if tuple(latents.shape) != shape:
            raise BadInput("latents", f"have shape {tuple(latents.shape)}, but {count} pictures of {width} x {height} need {shape}")
        return latents.to(self._execution_device, self.unet.dtype)

    def _decode(self, latents: torch.Tensor, output_type: str):
        pictures = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        return VaeImageProcessor(vae_scale_factor=self.vae_scale_factor).postprocess(pictures, output_type=output_type)
