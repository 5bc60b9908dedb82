import pytest
import torch

from instdiff.model.drawings import DrawingDecoder, lay_out, lay_over

RED = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 4, 1, 1).expand(1, 4, 8, 8)
BLUE = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(1, 4, 1, 1).expand(1, 4, 8, 8)


def place(*corners):
    return torch.tensor([corners])


def test_a_drawing_of_its_own_size_is_laid_out_as_it_is():
    drawing = torch.rand(1, 4, 8, 8)
    canvas = lay_out(drawing, place(0.25, 0.5, 0.75, 1.0), (16, 16))
    assert torch.allclose(canvas[:, :, 8:, 4:12], drawing, atol=1e-6)
    outside = canvas.clone()
    outside[:, :, 8:, 4:12] = 0
    assert not outside.any()


@pytest.mark.parametrize("side", [4, 32, 64])
def test_an_even_drawing_fills_its_place_at_any_scale(side):
    canvas = lay_out(RED, place(0.0, 0.0, 0.5, 0.5), (2 * side, 2 * side))
    middle = canvas[0, :, side // 4 : side - side // 4, side // 4 : side - side // 4]
    assert torch.allclose(middle, RED[0, :, :1, :1].expand_as(middle), atol=0.13)
    assert canvas[0, 3].mean() == pytest.approx(0.25, abs=0.04)


def test_a_drawing_is_made_smaller_by_the_mean_of_its_cells():
    stripes = torch.zeros(1, 4, 64, 64)
    stripes[..., ::2] = 1.0
    canvas = lay_out(stripes, place(0.0, 0.0, 0.25, 0.25), (32, 32))
    assert torch.allclose(canvas[0, :, 2:6, 2:6], torch.tensor(0.5), atol=0.02)


def test_places_may_leave_the_picture():
    canvas = lay_out(RED, place(-0.5, -0.5, 0.5, 0.5), (16, 16))
    assert torch.allclose(canvas[0, 0, :7, :7], torch.tensor(1.0))
    assert not canvas[0, 0, 9:].any()


def test_what_is_in_front_hides_what_is_behind():
    laid = torch.cat([RED, BLUE])
    one = lay_over(laid, torch.tensor([1.0, 1000.0]), torch.tensor([0, 0]), 1)
    other = lay_over(laid, torch.tensor([1000.0, 1.0]), torch.tensor([0, 0]), 1)
    assert torch.allclose(one, BLUE, atol=0.01) and torch.allclose(other, RED, atol=0.01)
    even = lay_over(laid, torch.ones(2), torch.tensor([0, 0]), 1)
    assert torch.allclose(even[0, :, 0, 0], torch.tensor([0.5, 0.0, 0.5, 1.0]), atol=0.01)


def test_every_canvas_has_its_own_drawings():
    both = lay_over(torch.cat([RED, BLUE]), torch.ones(2), torch.tensor([2, 0]), 3)
    assert torch.allclose(both, torch.cat([BLUE, 0 * RED, RED]), atol=1e-3)
    assert not lay_over(RED[:0], torch.ones(0), torch.zeros(0, dtype=torch.long), 2).any()


@torch.no_grad()
def test_a_drawing_is_premultiplied_and_depends_on_its_caption():
    torch.manual_seed(0)
    drawings = DrawingDecoder(8, (32, 16))(torch.randn(3, 8))
    assert drawings.shape == (3, 4, 16, 16)
    assert (drawings >= 0).all() and (drawings[:, :3] <= drawings[:, 3:]).all()
    assert not torch.allclose(drawings[0], drawings[1])
