import pytest

from instdiff.world.poses import is_lying, is_side_on, posed

PERSON = (0.6, 1.72)
CAT = (0.5, 0.42)


@pytest.mark.parametrize("pose", ["sitting", "kneeling", "crouching", "riding"])
def test_a_person_is_lower_and_wider(pose):
    width_m, height_m = posed("person", *PERSON, pose)
    assert width_m > PERSON[0] and 0.5 * PERSON[1] < height_m < PERSON[1]


def test_who_lies_has_its_sides_exchanged():
    assert posed("person", *PERSON, "lying") == (1.72, 0.6)
    assert posed("bottle", 0.1, 0.3, "lying") == (0.3, 0.1)
    assert posed("cat", *CAT, "lying")[1] < CAT[1]
    assert is_lying("person", *posed("person", *PERSON, "lying"))
    assert not is_lying("person", *PERSON)


@pytest.mark.parametrize("pose", ["sitting", "upright"])
def test_an_animal_that_sits_is_narrower_and_higher(pose):
    width_m, height_m = posed("cat", *CAT, pose)
    assert width_m < CAT[0] and height_m > CAT[1]
    assert is_side_on("cat", *CAT) and not is_side_on("cat", width_m, height_m)


@pytest.mark.parametrize("pose", ["", "sitting", "riding", "flying", "dancing"])
def test_a_thing_stays_as_it_is(pose):
    assert posed("vase", 0.2, 0.34, pose) == (0.2, 0.34)


def test_wings_are_spread_in_flight():
    assert posed("bird", 0.3, 0.24, "flying")[0] > 0.3
    assert posed("person", *PERSON, "flying") == (1.72, 0.6)
