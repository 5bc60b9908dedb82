"""A pipeline's VAE in less memory, by the names of diffusers' methods."""

from __future__ import annotations

from typing import Any

from instdiff.errors import BadInput


class VaeMemoryMixin:
    """Slicing decodes the pictures of a batch one after another, tiling every picture in overlapping tiles."""

    vae: Any

    def enable_vae_slicing(self) -> None:
        """Decode one picture at a time.

        Raises:
            BadInput: the VAE cannot.
        """
        self._vae_that_can("slicing").enable_slicing()

    def disable_vae_slicing(self) -> None:
        """Decode all pictures of a batch at once again."""
        self._vae_that_can("slicing").disable_slicing()

    def enable_vae_tiling(self) -> None:
        """Decode in overlapping tiles, for pictures far larger than the model's own size.

        Raises:
            BadInput: the VAE cannot.
        """
        self._vae_that_can("tiling").enable_tiling()

    def disable_vae_tiling(self) -> None:
        """Decode pictures whole again."""
        self._vae_that_can("tiling").disable_tiling()

    def _vae_that_can(self, what: str) -> Any:
        if not hasattr(self.vae, f"use_{what}"):
            cure = "fewer or smaller pictures in a call take less memory"
            raise BadInput("vae", f"{type(self.vae).__name__} has no {what}; {cure}")
        return self.vae
