"""Layout -> tensors, against what the reference computes for its own demo files."""

import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_figures import FOLDER, figures

from instdiff import rle
from instdiff.formats import load_layout
from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.grounding import Modes, covered_cells, place_grounding, resample_scribble
from instdiff.model.mask_points import outline, points_along, points_inside, sort_by_norm

DEMOS = sorted(figures("grounding")["demos"])
# Places that leave the canvas or have no area: there, and only there, ours differ from the reference's.
CUT = {("demo_corgi_kitchen.json", 6), ("demo_rose_garden_painting.json", 27)}


def demo(name: str) -> Layout:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_layout(FOLDER / "demos" / name)


@pytest.mark.parametrize("name", DEMOS)
def test_boxes_and_points_of_the_demos_equal_the_reference(name):
    expected = figures("grounding")["demos"][name]
    grounding = place_grounding(demo(name))
    assert int(grounding.used.sum()) == expected["n"]
    for i in range(expected["n"]):
        if (name, i) in CUT:
            continue
        if expected["bbox_xywh_pixels"][i] is None:  # the reference feeds a box of zeros
            assert not grounding.has_box[0, i]
        else:
            assert torch.allclose(grounding.box_xy[0, i], torch.tensor(expected["boxes_xyxy"][i]), atol=1e-7, rtol=0)
        assert torch.allclose(grounding.point_xy[0, i], torch.tensor(expected["points"][i]), atol=1e-7, rtol=0)
    assert not grounding.used[0, expected["n"] :].any()


def test_a_box_past_the_canvas_is_cut_where_the_reference_leaves_it():
    assert figures("grounding")["demos"]["demo_corgi_kitchen.json"]["boxes_xyxy"][6][2] > 1.4
    assert place_grounding(demo("demo_corgi_kitchen.json")).box_xy[0, 6, 2] == 1.0


def test_masks_of_the_demos_are_kept_and_equal_the_reference():
    """The reference's own command line threw every mask away before use."""
    layout = demo("demo_corgi_kitchen.json")
    grounding = place_grounding(layout)
    kept = figures("grounding")["demos"]["demo_corgi_kitchen.json"]["masks_kept"]
    assert len(kept) == 8
    for index, expected in kept.items():
        mask = layout.instances[int(index)].mask
        assert float(grounding.segs[0, int(index)].sum()) == expected["seg_sum"]
        found = points_inside(mask.array, 20, np.random.RandomState(expected["seed"]))
        assert found.ravel().tolist() == expected["scribble_pixels"]
        assert outline_points(expected["polygon_pixels"]) == along_outline(mask.array, 128)


def outline_points(pixels: list[float]) -> list[tuple]:
    """The points of a mixed list on the outline: the reference has those as floats, points inside as integers."""
    return [(x, y) for x, y in zip(pixels[::2], pixels[1::2], strict=True) if isinstance(x, float)]


def along_outline(mask: np.ndarray, count: int) -> list[tuple]:
    vertices = outline(mask)
    return [tuple(p) for p in sort_by_norm(vertices[np.linspace(0, len(vertices) - 1, count).astype(int)]).tolist()]


HANDMADE = [(name, case) for name, mask in figures("grounding")["handmade_masks"].items() for case in mask["cases"]]


@pytest.mark.parametrize(("name", "case"), HANDMADE)
def test_points_of_handmade_masks_equal_the_reference(name, case):
    stored = figures("grounding")["handmade_masks"][name]
    mask = rle.decode(stored["counts"], stored["height"], stored["width"])
    if case["fn"] == "sample_random_points_from_mask":
        assert points_inside(mask, case["k"], np.random.RandomState(case["seed"])).ravel().tolist() == case["out"]
    elif case["out"] is None:
        assert not points_along(mask, case["k"], random.Random(case["seed"])).any()
    else:
        assert outline_points(case["out"]) == along_outline(mask, case["k"] // 2)
        found = points_along(mask, case["k"], random.Random(case["seed"]))
        assert found.shape == (case["k"], 2)
        assert set(along_outline(mask, case["k"] // 2)) <= {tuple(p) for p in found.tolist()}


@pytest.mark.parametrize(
    "case", figures("grounding")["reorder_scribbles_single"], ids=lambda c: f"{len(c['points'])} points"
)
def test_one_scribble_is_resampled_as_the_reference_meant(case):
    assert np.allclose(resample_scribble(np.array(case["points"])), case["reordered"], atol=1e-12)


def box(*xyxy):
    return Box(**dict(zip(("x0", "y0", "x1", "y1"), xyxy, strict=True)))


def square(rows, columns, size=64):
    mask = np.zeros((size, size), dtype=bool)
    mask[slice(*rows), slice(*columns)] = True
    return Mask.from_array(mask)


BOXED = Instance(caption="a cat", box=box(0.1, 0.2, 0.5, 0.6))
POINTED = Instance(caption="a dog", point=Point(x=0.7, y=0.3))
MASKED = Instance(caption="a cup", mask=square((8, 24), (32, 48)))
SCRIBBLED = Instance(caption="a car", scribble=Scribble(points=(Point(x=0.2, y=0.8), Point(x=0.4, y=0.9))))


@pytest.mark.parametrize(
    ("instances", "modes"),
    [
        ([BOXED], Modes(box=True, point=True, scribble=False, mask=False)),
        ([POINTED], Modes(box=False, point=True, scribble=False, mask=False)),
        ([MASKED], Modes(box=True, point=True, scribble=False, mask=True)),
        ([SCRIBBLED], Modes(box=False, point=True, scribble=True, mask=True)),
        ([BOXED, SCRIBBLED], Modes(box=True, point=True, scribble=True, mask=True)),
        ([], Modes(box=False, point=True, scribble=False, mask=False)),
    ],
)
def test_modes_follow_the_places(instances, modes):
    assert Modes.of(Layout(caption="", instances=instances)) == modes


def test_every_instance_keeps_its_own_places_in_a_mixed_layout():
    """The reference cut all lists to the shortest, and moved places to other instances."""
    grounding = place_grounding(Layout(caption="", instances=[BOXED, POINTED, MASKED, SCRIBBLED]))
    assert grounding.used[0, :5].tolist() == [True] * 4 + [False]
    assert grounding.has_box[0, :4].tolist() == [True, False, True, False]
    assert grounding.has_point[0, :4].tolist() == [True, True, True, False]
    assert torch.allclose(grounding.point_xy[0, :3], torch.tensor([[0.3, 0.4], [0.7, 0.3], [40 / 64, 16 / 64]]))
    assert grounding.segs[0].flatten(1).any(dim=1).nonzero().flatten().tolist() == [2]
    assert grounding.scribble_xy[0, 3].view(-1, 2)[0].tolist() == pytest.approx([0.2, 0.8])
    assert not grounding.scribble_xy[0, 0].any()


def test_the_mask_of_a_single_instance_keeps_its_shape():
    """The reference squeezed it to its first row."""
    segs = place_grounding(Layout(caption="", instances=[MASKED]), seg_size=64).segs
    assert torch.equal(segs[0, 0].bool(), torch.from_numpy(MASKED.mask.array.copy()))


@pytest.mark.parametrize(
    ("instance", "inside", "outside"),
    [
        (BOXED, (0.3, 0.4), (0.6, 0.4)),
        (POINTED, (0.7, 0.3), (0.7, 0.6)),
        (MASKED, (0.6, 0.2), (0.6, 0.6)),
        (SCRIBBLED, (0.4, 0.9), (0.4, 0.5)),
    ],
)
def test_covered_cells_are_where_the_place_is(instance, inside, outside):
    cells = covered_cells(instance)
    assert cells[int(inside[1] * 32), int(inside[0] * 32)]
    assert not cells[int(outside[1] * 32), int(outside[0] * 32)]


def test_instance_alone_is_in_slot_0():
    grounding = place_grounding(Layout(caption="", instances=[BOXED, MASKED]))
    alone = grounding.pick(0, 1)
    assert alone.used[0].tolist() == [True] + [False] * 29
    assert torch.equal(alone.segs[0, 0], grounding.segs[0, 1])
    assert torch.equal(alone.regions[0, 0], grounding.regions[0, 1])


def test_demo_files_are_all_here():
    assert [path.name for path in sorted(Path(FOLDER / "demos").glob("*.json"))] == DEMOS
