"""A recorder of calls that works on any device, as a CUDA graph does on a card.

It keeps the operations of a call and the tensors that they read; a replay sends the same operations to the same memory
and runs no Python of the call: what a call decided, or read from a number, stays as it was when it was recorded.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from instdiff.model.graphs import Recording

# What is read back from a device, or comes in a size that only the device knows: everything waits for it.
WAITING = frozenset(
    "_local_scalar_dense item nonzero nonzero_numpy is_nonzero masked_select equal unique_dim _unique2".split()
)


class Tape(TorchDispatchMode):
    """The operations that are sent while it is on, with what each reads and gives."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, given))
        return given

    def names(self) -> set[str]:
        return {str(function).split(".")[1] for function, *_ in self.operations}

    def read_from_outside(self) -> list[torch.Tensor]:
        """The tensors that it reads and did not make."""
        made, outside = set(), {}
        for _, args, kwargs, given in self.operations:
            for value in tree_flatten((args, kwargs))[0]:
                if isinstance(value, torch.Tensor) and id(value) not in made:
                    outside[id(value)] = value
            made |= {id(value) for value in tree_flatten(given)[0] if isinstance(value, torch.Tensor)}
        return list(outside.values())

    def replay(self) -> dict[int, torch.Tensor]:
        """What each tensor is now, by the id of the one that was recorded."""
        now = {}

        def current(value):
            return now.get(id(value), value) if isinstance(value, torch.Tensor) else value

        for function, args, kwargs, given in self.operations:
            again = function(*tree_map(current, args), **tree_map(current, kwargs))
            for old, new in zip(tree_flatten(given)[0], tree_flatten(again)[0], strict=True):
                if isinstance(old, torch.Tensor):
                    now[id(old)] = new
        return now


class Recorder:
    """For `UNetGraphs`; each tape is kept."""

    def __init__(self, nbytes: int = 0):
        self.nbytes = nbytes
        self.tapes = []

    def __call__(self, call):
        with Tape() as tape:
            given = call()
        if waiting := tape.names() & WAITING:
            raise RuntimeError(f"{min(waiting)} is not permitted while a stream is recorded\nand more")
        self.tapes.append(tape)
        outputs = [tensor.clone() for tensor in given]

        def replay():
            now = tape.replay()
            for output, tensor in zip(outputs, given, strict=True):
                output.copy_(now[id(tensor)])

        return Recording(outputs, replay, self.nbytes)
