import json
from pathlib import Path

import pytest

from agent.benchmarks.plans.reading_names import bears, heads_of, says, words_before_head
from agent.benchmarks.plans.readings import Reading, faults_of, read_questions
from instdiff.errors import BadInput
from tests.agent.benchmarks.hand_made import instance, layout, row

SAMPLE = Path(__file__).parent / "samples" / "readings.jsonl"


@pytest.mark.parametrize(
    ("caption", "names", "expected"),
    [
        ("two red owls", ["owl"], True),
        ("a snowy owl", ["bird", "owl"], True),
        ("an owl on a barn", ["barn"], False),
        ("a pair of boots", ["boot"], True),
        ("a black, red and white vase", ["vase"], True),
        ("a man and a woman", ["man"], True),
        ("a dog sleeping", ["dog"], True),
        ("a girl eating a cake", ["cake"], False),
        ("a girl eating a cake", ["girl"], True),
        ("an owl statue", ["owl"], False),
        ("geese", ["goose"], True),
    ],
)
def test_a_caption_bears_the_name_that_its_phrase_ends_in(caption, names, expected):
    assert bears(instance(caption, 0.5, 0.5, category="x"), names) is expected


def test_a_category_bears_its_name_too():
    assert bears(instance("the hooting one", 0.5, 0.5, category="barn owls"), ["owl"])


def test_attributes_are_choices_of_words_of_the_caption():
    owl = instance("a wooden, dark-red owl", 0.5, 0.5)
    assert says(owl, [["wood"], ["crimson", "red"]]) and says(owl, [["dark red"]])
    assert not says(owl, [["wood"], ["blue"]])
    assert not says(instance("a covered wagon", 0.5, 0.5), [["red"]])
    assert words_before_head(instance("a red owl on a blue barn", 0.5, 0.5)) == {"a", "red"}
    assert ["a", "red", "owl"] in heads_of("a red owl")


def thing(*names: str, **more) -> dict:
    return {"names": list(names), **more}


RED_OWL = thing("owl", "bird", attributes=[["red", "crimson"]])
BLUE_LAMP = thing("lamp", attributes=[["blue"]])
SKY = thing("sky", count=[0, 2], optional=True)
GOATS = thing("goat", count=[2, 4])


@pytest.mark.parametrize(
    ("things", "planned", "kinds"),
    [
        ([RED_OWL, SKY], row("a red owl"), []),
        ([RED_OWL, SKY], row("a crimson bird", "a sky"), []),
        ([RED_OWL, SKY], row("an owl"), ["attribute"]),
        ([RED_OWL, SKY], row("a sky"), ["missing"]),
        ([RED_OWL, SKY], row("a red owl", "a red owl"), ["count"]),
        ([RED_OWL, SKY], row("a red owl", "a barn"), ["extra"]),
        ([RED_OWL, BLUE_LAMP], row("a red owl", "a blue lamp"), []),
        ([RED_OWL, BLUE_LAMP], row("a red owl", "a red blue lamp"), ["bleed"]),
        ([RED_OWL, BLUE_LAMP], row("a red owl by a blue lamp", "a blue lamp"), []),
        ([GOATS], row("a goat", "a goat"), []),
        ([GOATS], row("a goat"), ["count"]),
        ([GOATS], row(*["a goat"] * 5), ["count"]),
        ([thing("cherry", never=["strawberry"])], row("a strawberry cherry"), ["class"]),
        ([thing("cherry", never=["strawberry"])], row("a cherry"), []),
        # the ones with the attribute are claimed first, then the ones named most nearly
        ([thing("owl", attributes=[["red"]]), thing("owl", "bird")], row("an owl", "a red owl"), []),
        ([thing("owl", "bird"), thing("parrot", "bird")], row("a parrot", "an owl"), []),
        ([thing("owl", "bird"), thing("parrot", "bird")], row("a bird", "an owl"), []),
        ([thing("bird"), thing("owl", "bird", count=2)], row("an owl", "a bird", "an owl"), []),
        ([], row("a goat"), ["extra"]),
    ],
)
def test_things(things, planned, kinds):
    reading = Reading.parse({"prompt": "p", "things": things})
    assert [fault.kind for fault in faults_of(reading, planned)] == kinds


OWL_AND_BARN = [thing("owl", count=[1, 2]), thing("barn")]
ON = layout(instance("an owl", 0.5, 0.3), instance("a barn", 0.5, 0.6, 0.4, 0.4))


@pytest.mark.parametrize(
    ("rules", "planned", "kinds"),
    [
        ({"relations": [["owl", "on", "barn"]]}, ON, []),
        ({"relations": [["barn", "on", "owl"]]}, ON, ["relation"]),
        ({"relations": [["owl", "left_of", "barn"]]}, row("an owl", "a barn", "an owl"), []),  # some pair
        ({"relations": [["owl", "on", "barn"]]}, row("a barn"), ["missing"]),  # said once
        ({"not": [["owl", "on", "barn"]]}, ON, ["relation"]),
        ({"not": [["owl", "on", "barn"]]}, row("an owl", "a barn"), []),
        ({"larger": [["barn", "owl"]]}, ON, []),
        ({"larger": [["owl", "barn"]]}, ON, ["size"]),
    ],
)
def test_relations(rules, planned, kinds):
    reading = Reading.parse({"prompt": "p", "things": OWL_AND_BARN, **rules})
    assert [fault.kind for fault in faults_of(reading, planned)] == kinds


def test_between_and_a_line_to_skip():
    questions = read_questions(SAMPLE)
    assert [question.row for question in questions] == ["ours", "ours"]
    between = questions[1]
    lamp, tent = instance("a lamp", 0.1, 0.5, 0.1), instance("a tent", 0.9, 0.5)
    goats = [instance("a goat", 0.5, 0.5), instance("a goat", 0.5, 0.1)]
    assert between.faults(layout(lamp, tent, *goats)) == []
    above = [instance("a goat", 0.3, 0.1), instance("a goat", 0.7, 0.1)]
    assert [fault.text for fault in between.faults(layout(lamp, tent, *above))] == ["not goat between lamp and tent"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"things": []}, "line 2.prompt"),
        ({"prompt": "p"}, "line 2.things"),
        ({"prompt": "p", "things": [{"names": []}]}, "line 2.things.0.names"),
        ({"prompt": "p", "things": [{"names": ["owl"], "atributes": []}]}, "line 2.things.0.atributes"),
        ({"prompt": "p", "things": [], "relations": [["owl", "around", "barn"]]}, "'around' is no relation"),
        ({"prompt": "p", "things": [], "relations": [["owl", "between", "barn"]]}, "needs two names"),
        ({"prompt": "p", "things": [], "relations": [["owl", "on", ["barn", "lamp"]]]}, "needs one name"),
        ({"prompt": "p", "things": [], "relations": [["owl", "on"]]}, "line 2.relations.0"),
    ],
)
def test_bad_lines_are_refused_by_name(line, reason, tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_text(f"{json.dumps({'prompt': 'p', 'things': []})}\n{json.dumps(line)}\n")
    with pytest.raises(BadInput, match=reason):
        read_questions(path)
