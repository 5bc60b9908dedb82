"""Which things come together on pictures of scenes."""

from collections import Counter
from random import Random

from agent.dataset.__main__ import known_things
from agent.dataset.company import company_of
from agent.dataset.sources import Scenes, kinds_of_scenes
from instdiff.world import knowledge

KNOWN = known_things("draft")


def test_every_class_comes_about_as_often_as_any_other():
    kinds = kinds_of_scenes(("all",), KNOWN)
    company, rng, drawn = company_of(kinds, KNOWN), Random(0), Counter()
    for _ in range(8000):
        thing = rng.choice(company.things)
        drawn.update([thing, *company.draw(rng.choice(company.scenes_of(thing)), 3, rng)])
    assert drawn.keys() == set(KNOWN)
    assert max(drawn.values()) < 2.2 * min(drawn.values())


def test_things_are_in_scenes_where_they_are_usual_or_may_be():
    company = company_of(("kitchen", "street"), ())
    assert company.scenes_of("bus") == ["street"] and company.scenes_of("refrigerator") == ["kitchen"]
    assert company.scenes_of("spoon") == ["kitchen"] and company.scenes_of("mailbox") == ["street"]  # usual nowhere
    phrase = knowledge.settings()["kitchen"].phrase
    for index in range(100):
        prompt = Scenes(("kitchen", "street"), (1, 1)).candidate(index, 0)
        assert prompt.endswith(phrase) if "spoon" in prompt else True
        assert "bus" not in prompt or not prompt.endswith(phrase)
