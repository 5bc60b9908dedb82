import pytest

from evaluators.schedulers.command import COLUMNS
from evaluators.schedulers.trials import names, row_of
from instdiff.model.schedulers import PAINTING


def said_of(name):
    return dict(zip(COLUMNS, row_of(name), strict=True))


@pytest.mark.parametrize("name", ["DDPMScheduler", "LCMScheduler", "UniPCMultistepScheduler", "HeunDiscreteScheduler"])
def test_what_paints_ends_at_the_picture_and_repeats(name):
    said = said_of(name)
    assert (said["paints"], said["repeats"], said["misses %"]) == ("yes", "yes", "0.0")
    assert said["noise of its own"] == ("yes" if name in ("DDPMScheduler", "LCMScheduler") else "no")
    assert said["MIS"] == ("refused" if name == "UniPCMultistepScheduler" else "yes")


def test_what_does_not_paint_says_why():
    assert said_of("FlowMatchEulerDiscreteScheduler")["paints"].startswith("no: is of flow matching")
    assert said_of("EulerAncestralDiscreteScheduler")["clean"] == "refused"
    assert set(PAINTING) < set(names())
