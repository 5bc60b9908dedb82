"""The run lengths of Label Studio's brush: a stream of bits over the red, green, blue and alpha of every pixel.

As ``@thi.ng/rle-pack`` writes it: 32 bits that count the numbers, 5 for the width of a number, four times 4 for the
widths of lengths; then runs: 1 bit (1: one number again and again, 0: different ones), 2 bits that choose a width, the
length less one, and the number or numbers.
"""

from __future__ import annotations

import numpy as np

from instdiff.formats.places import MAX_MASK_PIXELS

MAX_RUNS = 1_000_000
LENGTH_BITS = (3, 4, 8, 16)
CHANNELS = 4
HEAD_BITS = 32 + 5 + 4 * len(LENGTH_BITS)


def decode_brush(values: object, size: tuple[int, int]) -> np.ndarray:
    """Bytes as a list of numbers -> (height, width) bool: where alpha is not 0.

    Raises:
        ValueError: they are no such stream, or not of this many pixels.
    """
    width, height = size
    if not isinstance(values, list) or len(values) < HEAD_BITS // 8 + 1 or width * height > MAX_MASK_PIXELS:
        raise ValueError("no brush")
    try:
        data = bytes(values)
    except (TypeError, ValueError) as error:
        raise ValueError("no bytes") from error
    if _number(data, 0, 32) != CHANNELS * width * height or _number(data, 32, 5) + 1 != 8:
        raise ValueError("of another size")
    widths = [_number(data, 37 + 4 * index, 4) + 1 for index in range(len(LENGTH_BITS))]
    return _alpha(data, widths, width * height).reshape(height, width) > 0


def _alpha(data: bytes, widths: list[int], pixels: int) -> np.ndarray:
    """(pixels,) uint8: every fourth number of the stream."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    alpha = np.zeros(pixels, np.uint8)
    place = HEAD_BITS
    done = 0
    for _ in range(MAX_RUNS):
        if done >= CHANNELS * pixels:
            return alpha
        kind = _number(data, place, 3)
        width = widths[kind & 3]
        first = place + 3 + width
        length = min(_number(data, place + 3, width) + 1, CHANNELS * pixels - done)
        is_same = kind & 4
        place = first + 8 * (1 if is_same else length)
        if place > len(bits):
            raise ValueError("cut short")
        part = slice(done // CHANNELS, (done + length) // CHANNELS)  # pixels whose alpha is in the run
        if is_same:
            alpha[part] = _number(data, first, 8)
        else:
            alpha[part] = np.packbits(bits[first:place])[CHANNELS - 1 - done % CHANNELS :: CHANNELS]
        done += length
    raise ValueError("runs without end")


def _number(data: bytes, place: int, count: int) -> int:
    """The number that at most 32 bits spell from a place on, the highest first."""
    five = int.from_bytes(data[place // 8 : place // 8 + 5].ljust(5, b"\0"), "big")
    return five >> (40 - place % 8 - count) & ((1 << count) - 1)


def encode_brush(mask: np.ndarray) -> list[int]:
    """(height, width) bool -> the stream as a list of bytes; what belongs to the mask is 255 in all channels."""
    flat = np.asarray(mask, bool).ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    starts = np.concatenate([[0], edges])
    lengths = np.diff(np.concatenate([starts, [flat.size]])) * CHANNELS
    text = [f"{flat.size * CHANNELS:032b}", "00111", *(f"{width - 1:04b}" for width in LENGTH_BITS)]
    for value, length in zip(flat[starts].tolist(), lengths.tolist(), strict=True):
        while length:
            part = min(length, 2**16)
            choice = next(index for index, width in enumerate(LENGTH_BITS) if part <= 2**width)
            text.append(f"1{choice:02b}{part - 1:0{LENGTH_BITS[choice]}b}{'11111111' if value else '00000000'}")
            length -= part
    joined = "".join(text)
    joined += "0" * (-len(joined) % 8)
    return list(int(joined, 2).to_bytes(len(joined) // 8, "big"))
