"""Pickled checkpoints as data: tensors, plain containers and inert records. Nothing that a pickle names is run.

By hand: ``torch.load(weights_only=True)`` refuses the published model, which holds an OmegaConf object, and reads all
tensors into memory.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import torch

from instdiff.checkpoint.tensors import NO_FP8, Extent, Lazy, view
from instdiff.errors import BadInput

MAX_OPCODES = 500_000  # a model of 1199 tensors with averages and the state of its training takes 181,000
MAX_DEPTH = 100  # tuples in tuples
MARK = -1


def check_opcodes(file: IO[bytes]) -> None:
    """Read a pickle's commands up to its end; nothing is made of them.

    Raises:
        ValueError: it is no pickle, or asks for more than its size accounts for.
    """
    stack: list[int] = []  # how deep tuples are nested in each value
    memo: dict[int, int] = {}
    for count, (code, argument, _) in enumerate(pickletools.genops(file)):
        name = code.name
        if count > MAX_OPCODES:
            raise ValueError("too many commands")
        if name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name.endswith("PUT") and isinstance(argument, int):
            if argument > count:
                raise ValueError("a memo with holes")
            memo[argument] = stack[-1]
        elif name.endswith("GET") and isinstance(argument, int):
            stack.append(memo[argument])
        elif name == "MARK":
            stack.append(MARK)
        else:
            _apply(code, name, stack)


def _apply(code: pickletools.OpcodeInfo, name: str, stack: list[int]) -> None:
    """What a command does to the stack; what it leaves there is as deep as the deepest value that it takes."""
    taken = []
    if pickletools.markobject in code.stack_before:
        while (depth := stack.pop()) != MARK:
            taken.append(depth)
        taken += [stack.pop() for _ in range(code.stack_before.index(pickletools.markobject))]
    else:
        taken += [stack.pop() for _ in code.stack_before]
    depth = max(taken, default=0) + name.startswith("TUPLE")
    if depth > MAX_DEPTH:
        raise ValueError("tuples in tuples without end")
    stack += [depth] * len(code.stack_after)


LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MAX_INDEX = 1 << 23  # bytes; a model of 1199 tensors with averages and the state of its training takes 0.5 MB
MAX_WRAPPED = 10  # records in records around one value
_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16, "CharStorage": torch.int8,
    "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
# Classes whose objects are kept as records: OmegaConf's (the published model holds its configuration), and what
# trainers leave in Stable Diffusion checkpoints.
_RECORDS = {
    *(("builtins", kind) for kind in ("dict", "list", "tuple", "set", "int", "long", "float", "complex")),
    *(("builtins", kind) for kind in ("bool", "str", "bytes")),
    ("typing", "Any"),
    ("omegaconf.base", "ContainerMetadata"), ("omegaconf.base", "Metadata"),
    ("omegaconf.dictconfig", "DictConfig"), ("omegaconf.listconfig", "ListConfig"),
    *(("omegaconf.nodes", f"{kind}Node") for kind in ("Any", "String", "Integer", "Float", "Boolean", "Bytes")),
    *(("omegaconf.nodes", f"{kind}Node") for kind in ("Path", "Enum")),
    ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    ("torch.nn.modules.container", "ParameterDict"),  # in old textual inversions
    ("argparse", "Namespace"), ("pathlib", "PosixPath"), ("_codecs", "encode"),
    ("numpy", "dtype"), ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
    ("torch", "device"), *(("torch", str(dtype)[6:]) for dtype in _STORAGES.values()),
}  # fmt: skip


class PlainOrderedDict(dict):
    """An ordered dictionary without attributes, which a pickle could set: torch keeps notes of its own in some."""

    __slots__ = ()

    def __setstate__(self, state):
        """The notes are not needed."""


class Record:
    """An object of a class that is not run: ``args`` and ``state`` as they stand in the file."""

    args: tuple
    state: object

    def __new__(cls, *args, **_) -> Record:
        record = super().__new__(cls)
        record.args = args
        record.state = {}
        return record

    def __init__(self, *_, **__):
        """Takes what the class would take."""

    def __setstate__(self, state: object):
        self.state = state


@dataclass(frozen=True)
class _Storage:
    """A run of numbers that a pickle speaks of by its key."""

    key: str
    dtype: torch.dtype
    count: int

    def __setstate__(self, state):
        raise TypeError("a pickle tries to change a storage that it has named")


class _Call:
    """Stands for a function or class that a pickle calls."""

    __slots__ = ("function",)

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, *args):
        return self.function(*args)

    def __setstate__(self, state):
        raise TypeError("a pickle tries to change a function")


class _Reader(pickle.Unpickler):
    """``extent_of`` says where the numbers of a storage lie; None is for pickles that must hold no tensors."""

    def __init__(self, file: IO[bytes], path: Path, extent_of: Callable[[_Storage], Extent] | None):
        super().__init__(file, encoding="utf-8")
        self.path = path
        self.extent_of = extent_of
        self.calls: dict[tuple[str, str], Callable] = {
            ("collections", "OrderedDict"): lambda *items: PlainOrderedDict(*items),
            ("collections", "defaultdict"): lambda *_: {},
            ("torch", "Size"): lambda sizes: tuple(sizes),
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            ("copyreg", "_reconstructor"): lambda kind, *_: kind(),
        }
        self.known: dict[tuple[str, str], object] = {}

    def find_class(self, module: str, name: str):
        """The harmless replacement of a name."""
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        place = (module, name)
        if place not in self.known:
            if place in self.calls:
                self.known[place] = _Call(self.calls[place])
            elif module == "torch" and name in _STORAGES:
                self.known[place] = _STORAGES[name]
            elif place in _RECORDS:
                self.known[place] = type(name, (Record,), {})
            elif place == ("torch._utils", "_rebuild_tensor_v3"):  # for kinds of numbers that have no storage class
                raise BadInput(str(self.path), f"holds weights in a newer kind of number; {NO_FP8}")
            else:
                reason = f"it asks to run {module}.{name}, which no checkpoint needs; nothing was run"
                raise BadInput(str(self.path), f"refused: {reason}")
        return self.known[place]

    def persistent_load(self, pid: tuple) -> _Storage:
        kind, dtype, key, _, count, *view_metadata = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or any(view_metadata):
            raise ValueError("an unknown kind of storage")
        return _Storage(str(key), dtype, int(count))

    def _tensor(self, storage: _Storage, offset: int, shape: tuple, stride: tuple, *_) -> Lazy:
        if self.extent_of is None:
            raise ValueError("a tensor where there can be none")
        return view(self.extent_of(storage), int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


def read_pickle(path: Path) -> object:
    """What `torch.save` wrote: nested dicts and lists, a `Lazy` for every tensor, a `Record` for other objects.

    Raises:
        BadInput: the file asks to run something, or is damaged, cut off or of another kind.
    """
    try:
        return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(str(path), error.strerror or str(error)) from error
    except Exception as error:  # of any kind, where bytes are not what they should be
        raise BadInput(str(path), "is damaged, cut off, or no checkpoint of PyTorch; fetch the file again") from error


def _read_zip(path: Path) -> object:
    """The format since PyTorch 1.6: a zip archive with a pickle, and a file for each storage."""
    with path.open("rb") as whole, zipfile.ZipFile(whole) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        index = next((name for name in entries if name.rpartition("/")[2] == "data.pkl"), None)
        if index is None or entries[index].file_size > MAX_INDEX:
            raise BadInput(str(path), "is a zip archive, but no checkpoint of PyTorch")
        folder = index.removesuffix("data.pkl")
        if f"{folder}byteorder" in entries and _start(archive, f"{folder}byteorder") != b"little":
            raise BadInput(str(path), "holds big-endian numbers; save it again on a usual machine")

        def extent_of(storage: _Storage) -> Extent:
            entry = entries[f"{folder}data/{storage.key}"]
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != storage.count * storage.dtype.itemsize:
                raise ValueError("a storage has the wrong size")
            whole.seek(entry.header_offset + 26)
            name_length, extra_length = struct.unpack("<HH", whole.read(4))
            start = entry.header_offset + 30 + name_length + extra_length
            return Extent(path, start, storage.count, storage.dtype, entry.CRC)

        with archive.open(index) as file:
            check_opcodes(file)
        with archive.open(index) as file:
            return _Reader(file, path, extent_of).load()


def _start(archive: zipfile.ZipFile, name: str) -> bytes:
    """The first bytes of an entry, which might unfold into a large one."""
    with archive.open(name) as file:
        return file.read(16)


def _read_legacy(path: Path) -> object:
    """The format before PyTorch 1.6: five pickles in a row, then the storages."""
    starts: dict[str, tuple[int, int]] = {}
    pending: list[_Storage] = []

    def extent_of(storage: _Storage) -> Extent:
        pending.append(storage)
        return _LateExtent(path, 0, storage.count, storage.dtype, key=storage.key, starts=starts)

    def load(extent_of=None):
        start = file.tell()
        check_opcodes(file)
        file.seek(start)
        return _Reader(file, path, extent_of).load()

    with path.open("rb") as file:
        if load() != LEGACY_MAGIC:
            raise ValueError("no magic number")
        load()  # the version of the format
        if not load()["little_endian"]:
            raise ValueError("big-endian")
        data = load(extent_of)
        sizes = {storage.key: storage.dtype.itemsize for storage in pending}
        for key in load():
            count = int.from_bytes(file.read(8), "little")
            starts[key] = file.tell(), count
            file.seek(count * sizes[key], 1)
        if file.tell() > path.stat().st_size:
            raise BadInput(str(path), f"is cut off: {path.stat().st_size} bytes of {file.tell()}")
    if any(starts[storage.key][1] != storage.count for storage in pending):
        raise ValueError("a storage has the wrong size")
    return data


@dataclass(frozen=True)
class _LateExtent(Extent):
    """An extent whose place is known only after the pickle that speaks of it."""

    key: str = ""
    starts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def read(self, first: int, count: int) -> torch.Tensor:
        return Extent(self.path, self.starts[self.key][0], self.count, self.dtype).read(first, count)


def value_at(node: object, *keys: str) -> str | int | float | None:
    """The number or string under some keys of nested dicts and OmegaConf records, or None."""
    for key in (*keys, None):
        for _ in range(MAX_WRAPPED):
            if not isinstance(node, Record):
                break
            state = node.state if isinstance(node.state, dict) else {}
            node = state.get("_content", state.get("_val"))
        if key is not None:
            node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, (str, int, float)) else None
