"""COCO run-length encoding, checked before anything is allocated.

By hand: pycocotools decodes in C without checking that the runs fit the stated size; masks come from files and from
models, so they are checked here: runs must add up to height * width, within a size limit.
"""

import numpy as np

from instdiff.errors import BadInput

MAX_PIXELS = 4096 * 4096
MAX_TEXT = 1_000_000  # characters; the outline of a thing has some ten thousand runs
MAX_CHUNKS = 7  # of 5 bits in one number


def string_to_counts(text: str) -> list[int]:
    """COCO's compressed text -> run lengths, starting with a run of zeros.

    Raises:
        BadInput: it is no such text, or is longer than a mask may be.

    Examples:
        >>> string_to_counts("323")
        [3, 2, 3]
    """
    if len(text) > MAX_TEXT:
        raise BadInput("mask.counts", f"{len(text)} characters of run lengths; at most {MAX_TEXT} are read")
    if not text:
        return []
    chunks = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64) - 48  # 6 bits each
    odd = np.flatnonzero((chunks < 0) | (chunks > 63))
    if odd.size:
        raise BadInput("mask.counts", f"character {text[odd[0]]!r} is not part of COCO run-length text")
    ends = np.flatnonzero(chunks < 32)  # the last chunk of each number; the others say that more follow
    lengths = np.diff(ends, prepend=-1)
    if not ends.size or ends[-1] != len(chunks) - 1 or lengths.max() > MAX_CHUNKS:
        raise BadInput("mask.counts", "the run-length text is cut short or has a run that is too long")
    starts = ends - lengths + 1
    shifts = 5 * (np.arange(len(chunks)) - np.repeat(starts, lengths))
    values = np.add.reduceat((chunks & 31) << shifts, starts)
    values -= np.where(chunks[ends] & 16, 1 << 5 * lengths, 0)  # sign extension: runs are stored as differences
    values[1::2] = np.cumsum(values[1::2])  # to the run before the last one, from the fourth run on
    values[2::2] = np.cumsum(values[2::2])
    return values.tolist()


def counts_to_string(counts: list[int]) -> str:
    """Run lengths -> COCO's compressed text."""
    text = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        while True:
            chunk = value & 31
            value >>= 5
            done = value == (-1 if chunk & 16 else 0)
            text.append(chr(chunk + (0 if done else 32) + 48))
            if done:
                break
    return "".join(text)


def check_counts(counts: list[int], height: int, width: int) -> None:
    """Refuse runs that are negative or do not add up to ``height * width``."""
    pixels = height * width
    if height < 1 or width < 1 or pixels > MAX_PIXELS:
        raise BadInput("mask.size", f"{height} x {width} is outside 1..{MAX_PIXELS} pixels")
    if any(count < 0 for count in counts) or sum(counts) != pixels:
        raise BadInput("mask.counts", f"the runs add up to {sum(counts)}, but {height} x {width} has {pixels} pixels")


def decode(counts: list[int], height: int, width: int) -> np.ndarray:
    """Run lengths (column major) -> (height, width) bool.

    Raises:
        BadInput: the runs are negative, or do not add up to ``height * width``.

    Examples:
        >>> decode([3, 2, 1], height=2, width=3).astype(int).tolist()
        [[0, 0, 1], [0, 1, 0]]
    """
    check_counts(counts, height, width)
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width, height).T


def encode(mask: np.ndarray) -> list[int]:
    """(height, width) bool -> run lengths (column major), starting with a run of zeros.

    Examples:
        >>> encode(np.array([[0, 0, 1], [0, 1, 0]]))
        [3, 2, 1]
    """
    flat = np.asarray(mask, dtype=bool).T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(edges).tolist()
    return [0, *counts] if flat.size and flat[0] else counts
