import pytest
import torch

from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble
from instdiff.model.grounding import POINT_REACH, Grounding, place_grounding, with_text
from instdiff.model.unifusion import PlaceMap, UniFusion

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
    mapper = PlaceMap(TEXT_DIM, CHANNELS, width=16, layers=2).eval()
    torch.nn.init.normal_(mapper.out.weight)
    return mapper


def grounding(*instances, seed=0):
    """The places, with a text feature of its own for every caption."""
    features = torch.stack(
        [torch.randn(TEXT_DIM, generator=torch.Generator().manual_seed(hash_of(i.caption) + seed)) for i in instances]
    )
    return with_text(place_grounding(Layout(caption="", instances=instances), seg_size=64, slots=4), features)


def hash_of(words):
    return sum(map(ord, words))


@torch.no_grad()
def test_the_scene_shows_where_no_instance_is(mapper):
    places = grounding(LEFT, RIGHT)
    one, other = (mapper(places, scene, SIZE)[0] for scene in (SCENE, SCENE.flip(1)))
    expected = torch.ones(SIZE, dtype=torch.bool)
    expected[4:12, :8] = expected[8:, 8:] = False
    assert torch.equal((one != other).any(dim=0), expected)
    assert not torch.allclose(one[:, 0, 0], one[:, 15, 0], atol=1e-3)  # a sky above is no floor below


@torch.no_grad()
def test_every_layout_of_a_batch_has_its_own_scene(mapper):
    places = Grounding.cat([grounding(LEFT), grounding(RIGHT)])
    scenes = torch.cat([SCENE, SCENE.flip(1)])
    both = mapper(places, scenes, SIZE)
    alone = [mapper(grounding(one), scene, SIZE) for one, scene in ((LEFT, SCENE), (RIGHT, SCENE.flip(1)))]
    assert torch.allclose(both, torch.cat(alone), atol=1e-6)


@torch.no_grad()
def test_an_untrained_map_says_the_same_everywhere():
    painted = PlaceMap(TEXT_DIM, CHANNELS, 16, 2)(grounding(LEFT), SCENE, SIZE)[0]
    assert torch.allclose(painted, painted[:, :1, :1].expand_as(painted))


@torch.no_grad()
def test_captions_matter_where_their_instance_is(mapper):
    one, other = (
        mapper(grounding(LEFT, Instance(caption=words, box=RIGHT.box)), SCENE, SIZE)[0]
        for words in ("a dog", "a horse")
    )
    assert torch.equal(one[:, :, :8], other[:, :, :8])
    assert not torch.allclose(one[:, 8:, 8:], other[:, 8:, 8:])


@torch.no_grad()
def test_overlap_is_a_mean_of_both(mapper):
    alone = [mapper(grounding(instance), SCENE, SIZE)[0] for instance in (LEFT, MIDDLE)]
    both = mapper(grounding(LEFT, MIDDLE), SCENE, SIZE)[0]
    shared = (slice(None), slice(4, 12), slice(4, 8))
    low = torch.minimum(*alone)[shared]
    high = torch.maximum(*alone)[shared]
    assert torch.all(both[shared] >= low - 1e-5) and torch.all(both[shared] <= high + 1e-5)
    assert torch.allclose(both[:, 4:12, :4], alone[0][:, 4:12, :4], atol=1e-6)


@torch.no_grad()
def test_order_and_company_change_nothing(mapper):
    forward = mapper(grounding(LEFT, RIGHT), SCENE, SIZE)
    backward = mapper(grounding(RIGHT, LEFT), SCENE, SIZE)
    assert torch.allclose(forward, backward, atol=1e-6)
    batch = mapper(Grounding.cat([grounding(LEFT, RIGHT), grounding(MIDDLE)]), SCENE.expand(2, -1), SIZE)
    assert torch.allclose(batch[0], forward[0], atol=1e-6) and torch.allclose(
        batch[1], mapper(grounding(MIDDLE), SCENE, SIZE)[0], atol=1e-6
    )


@torch.no_grad()
def test_nothing_planned_shows_the_scene_alone(mapper):
    nothing = mapper(grounding(LEFT).null(), SCENE, SIZE)
    places = mapper(grounding(LEFT), SCENE, SIZE)
    assert torch.allclose(nothing[..., 8:], places[..., 8:], atol=1e-6) and not torch.allclose(
        nothing[..., :8], places[..., :8]
    )


@pytest.mark.parametrize("size", [(16, 16), (9, 16), (16, 9), (5, 7)])
@torch.no_grad()
def test_any_size(mapper, size):
    assert mapper(grounding(LEFT, RIGHT), SCENE, size).shape == (1, CHANNELS, *size)


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
    fusion = UniFusion(**sizes, place_map={"channels": CHANNELS, "width": 16, "layers": 1})
    fusion.save_pretrained(tmp_path)
    again = UniFusion.from_pretrained(tmp_path)
    assert torch.equal(again.place_mapper.front.weight, fusion.place_mapper.front.weight)
