"""Calls of the UNet that are recorded once and replayed.

A fast GPU waits for Python, which sends it the thousand operations of each call; a CUDA graph sends them as one. A
graph is of fixed shapes, and reads and writes fixed memory: for each shape there is one, beside buffers that the
inputs are copied to. What only the buffers of a `Batch` hold is copied once a picture, not once a step.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from torch.nn.modules.module import _has_any_global_hook

from instdiff.device import WORKING
from instdiff.model.attention import Memory
from instdiff.settings import cuda_graphs

if TYPE_CHECKING:
    from instdiff.model.unet import InstanceUNet

LIMIT = 24  # graphs of one UNet: a picture takes two to four, and its numbers of instances some of their own
SHARE = 4  # they take at most one part in so many of the device's memory
TRIES = 3  # a shape that was recorded so often, and had to go, is not recorded again
SEEN = 64  # shapes that were called once are remembered up to so many
log = logging.getLogger(__name__)


@dataclass(eq=False)
class Batch:
    """What the UNet reads of the conditions of some rows, the same at every step; never changed."""

    memories: list[Memory]
    place_map: torch.Tensor | None  # (B, C, H, W)

    @cached_property
    def tensors(self) -> list[torch.Tensor]:
        """All there are, each once, in order."""
        own = [tensor for memory in self.memories for tensor in (*memory.text, *(memory.tokens or ()), memory.bias)]
        return list({id(tensor): tensor for tensor in (*own, self.place_map) if tensor is not None}.values())

    @cached_property
    def shape(self) -> Hashable:
        """Equal for batches that one graph serves."""
        missing = [(memory.tokens is None, memory.bias is None) for memory in self.memories]
        return *(tuple(tensor.shape) for tensor in self.tensors), *missing, self.place_map is None

    def copy(self) -> Batch:
        """The same in memory of its own."""
        fresh = {id(tensor): tensor.clone() for tensor in self.tensors}
        memories = [memory.map(lambda tensor: fresh[id(tensor)]) for memory in self.memories]
        return Batch(memories, None if self.place_map is None else fresh[id(self.place_map)])


class Inputs(NamedTuple):
    """What one call of the UNet reads."""

    latents: torch.Tensor  # (B, C, H, W)
    timestep: torch.Tensor  # one for all
    batch: Batch
    alpha: float  # strength of the grounding
    inner: list[torch.Tensor] | None  # as in `InstanceUNet.forward`


def evaluate(unet: InstanceUNet, inputs: Inputs) -> torch.Tensor:
    """Predictions (B, C, H, W) of a UNet."""
    return unet(
        inputs.latents,
        inputs.timestep,
        memories=inputs.batch.memories,
        place_map=inputs.batch.place_map,
        grounding_scale=inputs.alpha,
        stock_conv_in=inputs.alpha == 0 and unet.config.has_stock_conv_in,
        inner=inputs.inner,
    )


class Recording(NamedTuple):
    """A recorded call: ``replay`` does again what it did, and leaves what it gave in ``outputs``."""

    outputs: list[torch.Tensor]
    replay: Callable[[], None]
    nbytes: int  # of memory that it keeps


class CudaRecorder:
    """Records a call without arguments as a CUDA graph (pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""

    def __init__(self, device: torch.device):
        self.device = device
        self.stream = torch.cuda.Stream(device)

    def __call__(self, call: Callable[[], list[torch.Tensor]]) -> Recording:
        with torch.cuda.device(self.device):
            current = torch.cuda.current_stream()
            self.stream.wait_stream(current)
            with torch.cuda.stream(self.stream):
                call()  # libraries choose kernels, and what is kept between calls is made, before anything is recorded
            current.wait_stream(self.stream)
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            before = torch.cuda.memory_reserved()
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                    outputs = call()
            finally:
                torch.cuda.set_stream(current)  # torch leaves its own behind where recording fails
            return Recording(outputs, graph.replay, torch.cuda.memory_reserved() - before)

    def room(self) -> int:
        """Bytes that graphs may keep: a share of the device, and not what decoding a picture needs."""
        free, total = torch.cuda.mem_get_info(self.device)
        unused = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return min(total // SHARE, max(free + unused - int(WORKING), 0))


class Graph:
    """One recorded call of a UNet, and the buffers that it reads."""

    def __init__(
        self,
        record: Callable[[Callable[[], list[torch.Tensor]]], Recording],
        unet: InstanceUNet,
        inputs: Inputs,
    ):
        self.inputs = inputs._replace(
            latents=inputs.latents.clone(memory_format=torch.channels_last),
            timestep=inputs.timestep.clone(),
            batch=inputs.batch.copy(),
            inner=None if inputs.inner is None else [tensor.clone() for tensor in inputs.inner],
        )
        self.filled = weakref.ref(inputs.batch)
        # A graph reads addresses: what they hold must stay as long as it does.
        self.constants = unet.constants(self.inputs.latents)

        def call() -> list[torch.Tensor]:
            taken = self.inputs.inner
            given = None if taken is None else list(taken)
            prediction = evaluate(unet, self.inputs._replace(inner=given))
            return [prediction] if taken else [prediction, *(given or [])]

        self.recording = record(call)
        self.nbytes = self.recording.nbytes + sum(buffer.nbytes for buffer in self.buffers)

    @property
    def buffers(self) -> list[torch.Tensor]:
        """What inputs are copied to."""
        return [self.inputs.latents, self.inputs.timestep, *self.inputs.batch.tensors, *(self.inputs.inner or [])]

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        own = self.inputs
        if self.filled() is not inputs.batch:
            torch._foreach_copy_(own.batch.tensors, inputs.batch.tensors)
            self.filled = weakref.ref(inputs.batch)
        own.latents.copy_(inputs.latents)
        own.timestep.copy_(inputs.timestep)
        for buffer, tensor in zip(own.inner or [], inputs.inner or [], strict=True):
            buffer.copy_(tensor)
        self.recording.replay()
        prediction, *features = self.recording.outputs  # the next replay writes over them
        if inputs.inner is not None and not inputs.inner:
            inputs.inner.extend(feature.clone() for feature in features)
        return prediction.clone()


class UNetGraphs:
    """Graphs of one UNet, one for each shape: recorded at its second call, the one least used gone first.

    Where a call cannot be recorded a warning says why, and all are sent anew until the UNet is changed.

    Args:
        record: does a call and records it, see `Recording`.
        room: bytes that all graphs may keep, asked for before the first is recorded.
        limit: how many graphs there are at most.
    """

    def __init__(
        self,
        record: Callable[[Callable[[], list[torch.Tensor]]], Recording],
        room: Callable[[], int],
        limit: int = LIMIT,
    ):
        self.record = record
        self.ask_room = room
        self.limit = limit
        self.lock = threading.Lock()  # two threads must not fill the same buffers
        self.state: Hashable = None
        self.changed = True
        self.clear()

    def forget(self) -> None:
        """Free all graphs; at the next call, look at the UNet anew."""
        self.clear()
        self.changed = True

    def look(self, unet: InstanceUNet) -> None:
        """Free all graphs if the UNet is not as it was when they were recorded."""
        state = state_of(unet)
        if state != self.state:
            self.clear()
        self.state = state
        self.changed = False

    def clear(self) -> None:
        """Free all graphs."""
        self.graphs: OrderedDict[Hashable, Graph] = OrderedDict()
        self.seen: set[Hashable] = set()
        self.recorded: Counter[Hashable] = Counter()
        self.room: int | None = None
        self.failed = False

    def __call__(self, unet: InstanceUNet, inputs: Inputs) -> torch.Tensor:
        """As `evaluate`."""
        with self.lock:
            if self.changed:
                self.look(unet)
            if self.state is not None and not self.failed:
                graph = self._graph(unet, inputs)
                if graph:
                    return graph(inputs)
        return evaluate(unet, inputs)

    def _graph(self, unet: InstanceUNet, inputs: Inputs) -> Graph | None:
        """The graph of a shape, recorded where it is asked for again; None where there is none."""
        latents, timestep, batch, alpha, inner = inputs
        kind = None if inner is None else bool(inner)  # keeps no features, takes them, or gives them
        key = (tuple(latents.shape), latents.dtype, timestep.dtype, batch.shape, alpha, kind)
        if key in self.graphs:
            self.graphs.move_to_end(key)
            return self.graphs[key]
        if key not in self.seen or self.recorded[key] >= TRIES:
            if len(self.seen) >= SEEN:
                self.seen.clear()
            self.seen.add(key)
            return None
        if self.room is None:
            self.room = self.ask_room()
        self.recorded[key] += 1
        try:
            graph = Graph(self.record, unet, inputs)
        except RuntimeError as error:  # of CUDA, of its memory, of a compiler
            self.clear()
            self.failed = True
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            log.warning("no CUDA graphs of the UNet, which is called step by step instead: %s", reason)
            return None
        if graph.nbytes > self.room:
            self.recorded[key] = TRIES
            return None
        self.graphs[key] = graph
        while len(self.graphs) > self.limit or sum(each.nbytes for each in self.graphs.values()) > self.room:
            self.graphs.popitem(last=False)
        return graph


def state_of(unet: InstanceUNet) -> Hashable:
    """What a recorded call depends on beside its inputs: where the weights lie, adapters, how torch computes.

    None where a replay would not do all that a call does: gradients, autocast, hooks, forward methods that were
    replaced (offloading does so), a UNet that is compiled as a whole, which may have graphs of its own.
    """
    if torch.is_grad_enabled() or torch.is_autocast_enabled(unet.device.type) or _has_any_global_hook():
        return None
    if unet._compiled_call_impl is not None:
        return None
    parts: list[Hashable] = [
        torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(), torch.backends.cuda.flash_sdp_enabled(),
        torch.backends.cuda.mem_efficient_sdp_enabled(), torch.backends.cuda.cudnn_sdp_enabled(),
    ]  # fmt: skip
    for module in unet.modules():
        own = module.__dict__
        if own["_forward_hooks"] or own["_forward_pre_hooks"] or "forward" in own:
            return None
        parts.append(own.get("_compiled_call_impl"))  # of single blocks
        for tensor in (*own["_parameters"].values(), *own["_buffers"].values()):
            parts.append(None if tensor is None else (tensor.data_ptr(), tensor.dtype, tensor.stride()))
        if isinstance(module, BaseTunerLayer):
            scaling = getattr(module, "scaling", {})
            parts += [*module.active_adapters, *module.merged_adapters, module.disable_adapters, *scaling.items()]
    return tuple(parts)


_GRAPHS: weakref.WeakKeyDictionary[nn.Module, UNetGraphs] = weakref.WeakKeyDictionary()


def graphs_of(unet: InstanceUNet) -> UNetGraphs | None:
    """The graphs of a UNet as it is now; None where it computes on no NVIDIA card, or they are switched off.

    What changes it from here on has to say so (`forget_graphs`).
    """
    if torch.version.cuda and unet not in _GRAPHS and unet.device.type == "cuda":
        recorder = CudaRecorder(unet.device)
        _GRAPHS[unet] = UNetGraphs(recorder, recorder.room)
    graphs = _GRAPHS.get(unet)
    if graphs and not (unet.cuda_graphs and cuda_graphs()):
        del _GRAPHS[unet]
        return None
    if graphs:
        graphs.look(unet)
    return graphs


def forget_graphs(unet: nn.Module) -> None:
    """Free what graphs of a UNet keep: it changes, or moves."""
    if unet in _GRAPHS:
        _GRAPHS[unet].forget()
