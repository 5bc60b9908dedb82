import pytest
import torch

from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.grounding import POINT_REACH, Grounding, place_grounding, with_text
from instdiff.model.place_map import PlaceMap
from instdiff.model.unifusion import UniFusion

TEXT_DIM = 8
CHANNELS = 6
SIZE = (16, 16)
SCENE = torch.linspace(-1, 1, TEXT_DIM)[None]
LEFT = Instance(caption="a cat", box=Box(x0=0.0, y0=0.25, x1=0.5, y1=0.75))
RIGHT = Instance(caption="a dog", box=Box(x0=0.5, y0=0.5, x1=1.0, y1=1.0))
MIDDLE = Instance(caption="a cup", box=Box(x0=0.25, y0=0.25, x1=0.75, y1=0.75))


@pytest.fixture(scope="module")
def mapper():
    torch.manual_seed(0)
    return PlaceMap(TEXT_DIM, CHANNELS, width=16, layers=2, drawing_widths=(16, 16)).eval()


def grounding(*instances, seed=0):
    """The places, with a text feature of its own for every caption."""
    features = torch.stack(
        [torch.randn(TEXT_DIM, generator=torch.Generator().manual_seed(hash_of(i.caption) + seed)) for i in instances]
    )
    return with_text(place_grounding(Layout(caption="", instances=instances), seg_size=64, slots=4), features)


def hash_of(words):
    return sum(map(ord, words))


def guess(mapper, *instances, scene=SCENE):
    """What the map shows of a layout: colours (3, 64, 64), and how much things cover (64, 64)."""
    shown = mapper.guess(grounding(*instances), scene, SIZE)[0]
    return shown[:3], shown[3]


@torch.no_grad()
def test_the_scene_shows_where_no_instance_is(mapper):
    one, other = (guess(mapper, LEFT, RIGHT, scene=scene) for scene in (SCENE, SCENE.flip(1)))
    assert torch.equal(one[1], other[1])
    free = one[1] == 0
    assert free[:14].all() and free[50:, :30].all() and not free[20:44, 4:28].any()
    assert (one[0] - other[0]).abs().amax(dim=0)[free].min() > 0
    assert not torch.allclose(one[0][:, 0, 0], one[0][:, 63, 0], atol=1e-3)  # a sky above is no floor below


@torch.no_grad()
def test_drawings_lie_in_their_places(mapper):
    _, cover = guess(mapper, LEFT)
    assert cover[16:48, :32].min() > 0
    cover[14:50, :34] = 0  # they end softly
    assert not cover.any()


@torch.no_grad()
def test_a_mask_cuts_its_drawing_out(mapper):
    shape = torch.zeros(64, 64, dtype=torch.bool)
    shape[16:48, :16] = True
    masked = LEFT.model_copy(update={"box": None, "mask": Mask.from_array(shape.numpy())})
    told = grounding(masked)
    told.extent[0, 0] = torch.tensor(LEFT.box.xyxy)  # a drawing twice as wide as the mask
    cover = mapper.guess(told, SCENE, SIZE)[0, 3]
    assert torch.equal(cover > 0, shape)


@torch.no_grad()
def test_an_empty_place_shows_nothing(mapper):
    nowhere = LEFT.model_copy(update={"box": None, "mask": Mask.from_array(torch.zeros(8, 8).numpy())})
    assert torch.equal(guess(mapper, nowhere)[0], guess(mapper, nowhere, scene=SCENE)[0])
    assert not guess(mapper, nowhere)[1].any()


@torch.no_grad()
def test_every_layout_of_a_batch_has_its_own_scene(mapper):
    places = Grounding.cat([grounding(LEFT), grounding(RIGHT)])
    scenes = torch.cat([SCENE, SCENE.flip(1)])
    both = mapper(places, scenes, SIZE)
    alone = [mapper(grounding(one), scene, SIZE) for one, scene in ((LEFT, SCENE), (RIGHT, SCENE.flip(1)))]
    assert torch.allclose(both, torch.cat(alone), atol=1e-6)


@torch.no_grad()
def test_captions_matter_where_their_instance_is(mapper):
    one, other = (
        mapper(grounding(LEFT, Instance(caption=words, box=RIGHT.box)), SCENE, SIZE)[0]
        for words in ("a dog", "a horse")
    )
    assert torch.equal(one[:, :, :7], other[:, :, :7])
    assert not torch.allclose(one[:, 8:, 8:], other[:, 8:, 8:])


@torch.no_grad()
def test_an_instance_alone_looks_as_it_does_among_others(mapper):
    both = grounding(LEFT, RIGHT)
    drawings = mapper.draw(both)
    for i, alone in enumerate((both.pick(0, 0), both.pick(0, 1))):
        anew = mapper.guess(alone, SCENE, SIZE)
        assert torch.allclose(mapper.guess(alone, SCENE, SIZE, drawings[i : i + 1]), anew, atol=1e-6)
        assert not torch.allclose(mapper.guess(alone, SCENE, SIZE, drawings[1 - i : 2 - i]), anew, atol=1e-3)


@torch.no_grad()
def test_order_changes_nothing(mapper):
    forward = mapper(grounding(LEFT, MIDDLE), SCENE, SIZE)
    assert torch.allclose(forward, mapper(grounding(MIDDLE, LEFT), SCENE, SIZE), atol=1e-5)


@torch.no_grad()
def test_nothing_planned_shows_the_scene_alone(mapper):
    nothing = mapper(grounding(LEFT).null(), SCENE, SIZE)
    places = mapper(grounding(LEFT), SCENE, SIZE)
    assert torch.allclose(nothing[..., 9:], places[..., 9:], atol=1e-6)
    assert not torch.allclose(nothing[..., :8], places[..., :8])


@pytest.mark.parametrize("size", [(16, 16), (9, 16), (16, 9), (5, 7)])
@torch.no_grad()
def test_any_size(mapper, size):
    assert mapper(grounding(LEFT, RIGHT), SCENE, size).shape == (1, CHANNELS, *size)


def test_what_is_drawn_is_not_learned_from_scenes(mapper):
    mapper(grounding(LEFT, RIGHT), SCENE, SIZE).square().sum().backward()
    assert mapper.read.weight.grad.any() and mapper.ground.weight.grad.any()
    assert all(parameter.grad is None for parameter in mapper.drawer.parameters())
    mapper.zero_grad()


disc = torch.zeros(64, 64)
disc[16:48, 8:24] = 1


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"box": Box(x0=0.1, y0=0.2, x1=0.5, y1=0.9)}, [0.1, 0.2, 0.5, 0.9]),
        ({"mask": Mask.from_array(disc.numpy())}, [0.125, 0.25, 0.375, 0.75]),
        ({"point": Point(x=0.5, y=0.4)}, [0.5 - POINT_REACH, 0.4 - POINT_REACH, 0.5 + POINT_REACH, 0.4 + POINT_REACH]),
        ({"scribble": Scribble(points=(Point(x=0.2, y=0.4), Point(x=0.6, y=0.3)))}, [0.15, 0.25, 0.65, 0.45]),
        ({"mask": Mask.from_array(torch.zeros(8, 8).numpy())}, [0, 0, 0, 0]),
        ({"box": Box(x0=0.1, y0=0.2, x1=0.5, y1=0.9), "point": Point(x=0.9, y=0.9)}, [0.1, 0.2, 0.5, 0.9]),
    ],
)
def test_extent_of_a_place(place, expected):
    layout = Layout(caption="", instances=(Instance(caption="a cat", **place),))
    assert place_grounding(layout, seg_size=64, slots=2).extent[0, 0].tolist() == pytest.approx(expected)


def test_unifusion_has_a_mapper_where_its_config_says_so(tmp_path):
    sizes = dict(
        text_dim=TEXT_DIM, out_dim=8, mid_dim=8, seg_size=64, convnext_dims=(4, 4, 4, 4), convnext_depths=(1, 1, 1, 1)
    )
    assert UniFusion(**sizes).place_mapper is None
    fusion = UniFusion(**sizes, place_map={"channels": CHANNELS, "width": 16, "layers": 1, "drawing_widths": (16,)})
    fusion.save_pretrained(tmp_path)
    again = UniFusion.from_pretrained(tmp_path)
    assert torch.equal(again.place_mapper.read.weight, fusion.place_mapper.read.weight)
