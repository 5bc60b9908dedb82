import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from instdiff import rle
from instdiff.errors import BadInput

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40), elements=st.booleans())


@given(masks)
def test_the_same_text_as_pycocotools(mask):
    theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert rle.counts_to_string(rle.encode(mask)) == theirs["counts"].decode()
    assert (rle.decode(rle.string_to_counts(theirs["counts"].decode()), *mask.shape) == mask).all()


def test_long_runs_as_pycocotools():
    mask = np.zeros((4096, 4096), dtype=bool)
    mask[5, 7] = mask[4000, 4090] = True
    theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert rle.counts_to_string(rle.encode(mask)) == theirs
    assert (rle.decode(rle.string_to_counts(theirs), 4096, 4096) == mask).all()


@pytest.mark.parametrize("text", ["\x7f", "é", "o", "ooooooooooo0", " "])
def test_text_that_is_no_run_lengths(text):
    with pytest.raises(BadInput, match="mask.counts"):
        rle.string_to_counts(text)


@pytest.mark.parametrize(
    "counts, height, width, field",
    [
        ([5], 2, 2, "mask.counts"),
        ([3], 2, 2, "mask.counts"),
        ([-1, 5], 2, 2, "mask.counts"),
        ([2**40], 2, 2, "mask.counts"),
        ([10**10], 10**5, 10**5, "mask.size"),
        ([0], 0, 4, "mask.size"),
        ([4], -2, -2, "mask.size"),
    ],
)
def test_runs_are_checked_before_anything_is_allocated(counts, height, width, field):
    with pytest.raises(BadInput) as caught:
        rle.decode(counts, height, width)
    assert caught.value.field == field
