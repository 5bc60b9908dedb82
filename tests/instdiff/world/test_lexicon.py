"""What nouns name: what can be seen, who is somebody, and whose size an unknown thing borrows."""

import pytest

from instdiff.world import lexicon


@pytest.mark.parametrize(
    "noun", ["wombat", "sextant", "arrow", "campfire", "pearl", "gizmotron", "oak barrel", "badge"]
)
def test_what_can_be_seen(noun):
    assert lexicon.can_be_seen(noun)


@pytest.mark.parametrize("noun", ["elegance", "breeze", "skill", "hint", "tune", "january", "deep joy", "silence"])
def test_what_cannot_be_seen(noun):
    assert not lexicon.can_be_seen(noun)


@pytest.mark.parametrize(
    ("noun", "known"), [("oak barrel", "barrel"), ("cutlass", "sword"), ("gizmotron", None), ("elegance", None)]
)
def test_whose_size_it_borrows(noun, known):
    assert lexicon.stand_in(noun) == known


def test_who_is_somebody():
    assert lexicon.is_person("cricketer") and lexicon.is_person("driver") and not lexicon.is_person("platypus")
    assert lexicon.is_living("platypus") and not lexicon.is_living("teapot")


def test_what_it_is_a_kind_of():
    assert lexicon.is_kind_of("spaniel", frozenset(("dog",))) and not lexicon.is_kind_of("spaniel", frozenset(("cat",)))
