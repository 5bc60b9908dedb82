"""Slips of chat models: each costs its item and a note, never the scene."""

import json

import pytest

from agent.planners.chat import ChatOptions, ChatPlanner
from agent.planners.chat.answer import PlanParts
from agent.planners.chat.relations import predicate_of
from agent.planners.chat.scene import SceneForm, read_scene
from agent.planners.chat.slips import metres
from agent.planners.plan import Plan
from instdiff.world.scene import Predicate
from prompts.client import AnswerError
from tests.agent.openai_server import ChatServer, Reply, said

PROMPT = "a green frog to the left of a blue ball"


def thing(name: str, **changes) -> dict:
    blank = dict.fromkeys(("width_m", "height_m", "distance_m", "support"))
    return {"id": f"{name}-1", "category": name, "caption": f"a {name}", **blank, **changes}


def scene_of(*things: dict, **changes) -> dict:
    relations = [{"subject": "frog-1", "predicate": "left of", "object": "ball-1"}]
    return {
        "caption": "a garden",
        "setting": "garden",
        "objects": things,
        "relations": relations,
        "absent": [],
        **changes,
    }


FROG = scene_of(thing("frog"), thing("ball"))
SWAN = scene_of(thing("swan"), relations=[])
GOOD = json.dumps(FROG)
DRAFT = json.dumps(SWAN)
SCHEMA = json.dumps(SceneForm.schema)


def plan_with(*replies: Reply, prompt: str = PROMPT, **options) -> tuple[Plan, ChatServer]:
    with ChatServer(*replies) as server:
        planner = ChatPlanner("chat:m", ChatOptions(base_url=server.url, timeout_s=5, **options))
        return planner.plan(prompt, (512, 512), 0), server


def is_frog_left_of_ball(plan: Plan | PlanParts) -> bool:
    boxes = {item.category: item.box for item in plan.layout.instances}
    return sorted(boxes) == ["ball", "frog"] and boxes["frog"].centre.x < boxes["ball"].centre.x


# the last complete JSON after a thought is the answer
ANSWERS = {
    "a draft in a thought": f"<think>\nA first idea: {DRAFT}\nNo, a frog.\n</think>\n{GOOD}",
    "a thought that the prompt has opened": f"A first idea: {DRAFT}. No.\n</think>\n\n```json\n{GOOD}\n```",
    "a thought of gpt-oss": f"<|channel|>analysis<|message|>{DRAFT}<|end|><|channel|>final<|message|>{GOOD}",
    "a draft without marks": f"First: {DRAFT}\nBut a frog was asked for:\n{GOOD}\nThat is it.",
    "many braces before": "{x} " * 200 + GOOD,
    "a long thought": "<think>" + "hm {so} " * 10_000 + "</think>" + GOOD,
    "the form first": f'The form is {{"properties": {{"objects": {{"type": "array"}}}}}}. My answer: {GOOD}',
    "the whole form first": f"{SCHEMA}\n{GOOD}",
    "the form last": f"{GOOD}\nas you asked: {SCHEMA}",
    "the form filled in": json.dumps({"title": "PlannedScene", "type": "object", "properties": FROG}),
    "wrapped": json.dumps({"name": "PlannedScene", "arguments": FROG}),
    "a tool call in words": f'<tool_call>{{"name": "PlannedScene", "arguments": {GOOD}}}</tool_call>',
    "a list of its names last": f'{GOOD} In short: {{"objects": ["frog", "ball"]}}',
    "Python": str({**FROG, "objects": list(FROG["objects"])}),
    "Python with a tuple": str(FROG),
    "comments and commas": GOOD.replace('"relations"', '// how they lie\n"relations"').replace("}", ",}"),
    "a length with its unit, unquoted": GOOD.replace('"width_m": null', '"width_m": 0.1 m', 1),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_the_answer_is_found(case):
    assert is_frog_left_of_ball(SceneForm().read(ANSWERS[case], PROMPT, (512, 512), 0))


@pytest.mark.parametrize("case", ["a draft in a thought", "the form first", "Python"])
def test_one_request_is_enough(case):
    plan, server = plan_with(Reply(ANSWERS[case]))
    assert is_frog_left_of_ball(plan) and len(server.requests) == 1


@pytest.mark.parametrize(
    "thought", [GOOD, f"First {DRAFT}. No: {GOOD}", f"<think>{DRAFT}</think>{GOOD}"], ids=["one", "draft", "marked"]
)
def test_an_answer_where_the_thought_should_be(thought):
    plan, server = plan_with(Reply(None, thought=thought))
    assert is_frog_left_of_ball(plan) and len(server.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"<think>A first idea: {DRAFT}",
        f"<think>A first idea: {DRAFT}</think>",
        f"A first idea: {DRAFT}. Better: {GOOD[:200]}",
        f"<think>{DRAFT}</think>{GOOD[:-1]}",
    ],
    ids=["thinks still", "only thinks", "begins anew", "breaks off"],
)
def test_a_draft_is_not_taken_for_the_answer(text):
    with pytest.raises(AnswerError):
        read_scene(text, PROMPT)
    plan, server = plan_with(Reply(text), Reply(GOOD))
    assert is_frog_left_of_ball(plan) and len(server.requests) == 2


# words of the model, what they mean; swapped where the object is what the subject would be
WORDS = {
    "left of": "left_of | LEFT_OF | leftOf | leftof | Left-Of | to the left of | on the left side of | left |"
    " to the left | is to the left of | is placed directly left of | on the left hand side of | sitting to the left of",
    "right of": "right_of | to the right of | right | positioned to the right of | at the right of",
    "above": "over | ABOVE | hanging above | directly above | floating over | is above",
    "below": "below | is below | at the bottom of",
    "under": "beneath | underneath | lying beneath",
    "on": "on top of | on_top_of | atop | resting on | sits on | standing on top of | is on | upon | ONTO |"
    " supported by",
    "next to": "beside | near | close to | by | adjacent to | next_to | NEXT TO | alongside | right next to | nearby |"
    " standing beside | is next to | near to | side by side with | adjacent",
    "in front of": "in_front_of | inFrontOf | in front | ahead of | stands in front of",
    "behind": "in back of | BEHIND | hidden behind | partly behind | at the back of",
    "in": "inside | inside of | within | IN | into | is inside | contained in",
    "larger than": "bigger than | taller than | LARGER_THAN",
    "smaller than": "shorter than | is smaller than",
    "held by": "heldBy | is held by | carried by",
    "worn by": "worn_by | worn by",
}
SWAPPED = {
    "in": "contains | filled with",
    "on": "covered with | topped with | supports",
    "held by": "holding | carries",
    "worn by": "wearing | dressed in",
}
PHRASES = [(phrase.strip(), predicate, False) for predicate, text in WORDS.items() for phrase in text.split("|")]
PHRASES += [(phrase.strip(), predicate, True) for predicate, text in SWAPPED.items() for phrase in text.split("|")]


@pytest.mark.parametrize(("phrase", "predicate", "is_swapped"), PHRASES)
def test_a_predicate_in_other_words(phrase, predicate, is_swapped):
    relation = {"subject": "frog-1", "predicate": phrase, "object": "ball-1"}
    scene, notes = read_scene(json.dumps({**FROG, "relations": [relation]}), PROMPT)
    (read,) = scene.relations
    pair = ("ball-1", "frog-1") if is_swapped else ("frog-1", "ball-1")
    assert (read.predicate, read.subject, read.object, notes) == (Predicate(predicate), *pair, [])


@pytest.mark.parametrize(
    ("phrase", "target", "place"),
    [
        ("left", "picture", "on the left"),
        ("to the right", "", "on the right"),
        ("left_of", "image", "on the left"),
        ("top", None, "at the top"),
        ("in the center", "the picture", "in the centre"),
        ("centered in the middle", "scene", None),
        ("on the far right side of the image", "picture", "on the right"),
        ("is at the bottom", "picture", "at the bottom"),
        ("on the left", "ball-1", "on the left"),
    ],
)
def test_a_place_in_other_words(phrase, target, place):
    relation = {"subject": "frog-1", "predicate": phrase, "object": target}
    scene, _ = read_scene(json.dumps({**FROG, "relations": [relation]}), PROMPT)
    assert [(read.predicate, read.object) for read in scene.relations] == ([(place, "picture")] if place else [])


@pytest.mark.parametrize("phrase", ["far from", "not on", "made of", "loves", "", "than", "of"])
def test_words_that_say_no_place(phrase):
    assert predicate_of(phrase, "ball-1") == (None, False)


LEFT = {"subject": "frog-1", "predicate": "left of", "object": "ball-1"}
LEFT_OUT = "Relations of the model that are left out: "


@pytest.mark.parametrize(
    ("relation", "named"),
    [
        ({"subject": "frog-1", "predicate": "on", "object": "moon"}, "frog-1 on moon"),
        ({"subject": "frog-1", "predicate": "on", "object": "picture"}, "frog-1 on picture"),
        ({"subject": "frog-1", "predicate": "facing away", "object": "ball-1"}, "frog-1 facing away ball-1"),
        ({"subject": "frog-1", "predicate": "on", "object": "frog-1"}, "frog-1 on frog-1"),
        ({"subject": "frog-1", "predicate": None, "object": "ball-1"}, "frog-1 ball-1"),
        ({"subject": None, "predicate": "on", "object": "ball-1"}, "on ball-1"),
        ({"type": "object", "properties": {"subject": {"type": "string"}}}, ""),
        ("frog and ball", "frog and ball"),
        (None, ""),
        (["a", "b"], "['a', 'b']"),
    ],
)
def test_a_bad_relation_costs_itself(relation, named):
    scene, notes = read_scene(json.dumps({**FROG, "relations": [relation, LEFT]}), PROMPT)
    assert [read.model_dump(mode="json") for read in scene.relations] == [LEFT]
    assert notes == [f"{LEFT_OUT}{named}."]


@pytest.mark.parametrize(
    ("relation", "pairs"),
    [
        ({"subject": "Frog", "predicate": "left of", "object": "the ball"}, [("frog-1", "left of", "ball-1")]),
        ({"subject": "FROG_1", "predicate": "left of", "object": "ball 1"}, [("frog-1", "left of", "ball-1")]),
        (["frog-1", "left of", "ball-1"], [("frog-1", "left of", "ball-1")]),
        (
            {"subject": "frog-1", "predicate": "near", "object": ["ball-1", "tree-1"]},
            [("frog-1", "next to", "ball-1"), ("frog-1", "next to", "tree-1")],
        ),
        (
            {"subject": "frog-1", "predicate": "between", "object": ["ball-1", "tree-1"]},
            [("frog-1", "right of", "ball-1"), ("frog-1", "left of", "tree-1")],
        ),
    ],
)
def test_things_by_other_names(relation, pairs):
    answer = scene_of(thing("frog"), thing("ball"), thing("tree"), relations=[relation])
    scene, notes = read_scene(json.dumps(answer), PROMPT)
    assert [(read.subject, read.predicate, read.object) for read in scene.relations] == pairs and notes == []


def test_a_name_of_two_things_is_nobodys():
    answer = scene_of(thing("frog"), thing("ball"), thing("ball", id="ball-2"))
    answer["relations"] = [{"subject": "frog-1", "predicate": "on", "object": "ball"}]
    scene, notes = read_scene(json.dumps(answer), PROMPT)
    assert scene.relations == () and len(notes) == 1


def test_many_bad_relations_are_named_once():
    bad = [{"subject": "frog-1", "predicate": "on", "object": f"moon-{n}"} for n in range(10)]
    _, (note,) = read_scene(json.dumps({**FROG, "relations": bad}), PROMPT)
    assert note == f"{LEFT_OUT}frog-1 on moon-0; frog-1 on moon-1; frog-1 on moon-2; and 7 more."


RIGHT = {"subject": "frog-1", "predicate": "to the right of", "object": "ball-1"}


def test_a_scene_that_contradicts_itself_is_asked_for_again_and_never_lost():
    contradicted = said({**FROG, "relations": [LEFT, RIGHT]})
    plan, server = plan_with(contradicted, said(FROG), prompt="a frog and a ball")
    assert is_frog_left_of_ball(plan) and len(server.requests) == 2
    assert "the opposite are stated" in server.requests[1]["messages"][3]["content"]
    plan, server = plan_with(contradicted, prompt="a frog and a ball")
    assert is_frog_left_of_ball(plan) and len(server.requests) == 3
    assert "Relations of the model that contradict others and are left out: frog-1 right of ball-1." in plan.notes


@pytest.mark.parametrize(
    "relations",
    [
        None,
        "none",
        [RIGHT, LEFT],
        [LEFT, RIGHT],
        [{**LEFT, "predicate": "beside"}],
        [{**LEFT, "predicate": "is in some relation to"}],
        [{**LEFT, "object": "moon"}],
        [{**LEFT, "predicate": "to the right of"}],
    ],
)
def test_where_relations_are_lost_or_unclear_the_description_has_its_own(relations):
    for seed in range(6):
        parts = SceneForm().read(json.dumps({**FROG, "relations": relations}), PROMPT, (512, 512), seed)
        boxes = dict(zip(parts.ids, (item.box for item in parts.layout.instances), strict=True))
        assert boxes["frog-1"].centre.x < boxes["ball-1"].centre.x
    assert LEFT in [relation.model_dump(mode="json") for relation in parts.scene.relations]


@pytest.mark.parametrize(
    "prompt",
    [
        "a frog and a ball",
        "une grenouille verte et une balle",
        "two frogs to the left of a ball",  # which of them?
        "a frog and a ball\n\nIt was: a frog to the left of a ball",
    ],
)
def test_a_description_that_states_nothing_adds_nothing(prompt):
    parts = SceneForm().read(json.dumps({**FROG, "relations": None}), prompt, (512, 512), 0)
    assert parts.scene.relations == ()


def test_relations_that_are_clear_stay_as_the_model_states_them():
    near = {**LEFT, "predicate": "next to"}
    for relations in ([near], []):
        parts = SceneForm().read(json.dumps({**FROG, "relations": relations}), PROMPT, (512, 512), 0)
        assert [relation.model_dump(mode="json") for relation in parts.scene.relations] == relations


@pytest.mark.parametrize(
    ("changes", "absent", "note"),
    [
        ({"relations": None}, (), "The model gives no list of relations; none are taken."),
        ({"relations": "none"}, (), "The model gives no list of relations; none are taken."),
        ({"relations": {"type": "array"}}, (), "The model gives no list of relations; none are taken."),
        ({"absent": None}, (), "The model gives no list of absent things; none are taken."),
        ({"absent": {"type": "array"}}, (), "The model gives no list of absent things; none are taken."),
        ({"absent": "dogs, cats and people"}, ("dogs", "cats", "people"), None),
        ({"absent": ["dog", None, "none", 7]}, ("dog",), "Absent things of the model that are left out: None; 7."),
        ({"absent": ""}, (), None),
        ({"caption": None}, (), "The model gives no caption; the description is taken."),
        ({"caption": {"type": "string"}}, (), "The model gives no caption; the description is taken."),
        ({"setting": None}, (), None),
        ({"setting": ["garden"]}, (), None),
    ],
)
def test_fields_that_are_null_or_something_else(changes, absent, note):
    scene, notes = read_scene(json.dumps({**FROG, **changes}), PROMPT)
    assert [item.category for item in scene.objects] == ["frog", "ball"] and scene.absent == absent
    assert notes == ([note] if note else [])
    assert scene.caption == (PROMPT if "caption" in changes else "a garden")


@pytest.mark.parametrize(
    ("given", "expected", "note"),
    [
        ("0.1 m", 0.1, "Sizes that the model gives as text are read: frog-1 0.1 m as 0.1 m."),
        ("12cm", 0.12, "Sizes that the model gives as text are read: frog-1 12cm as 0.12 m."),
        ("0.1", 0.1, "Sizes that the model gives as text are read: frog-1 0.1 as 0.1 m."),
        ("wide", None, 'Sizes of the model that are no lengths and are left out: frog-1 "wide".'),
        ([0.1], None, "Sizes of the model that are no lengths and are left out: frog-1 [0.1]."),
        (
            {"type": "number"},
            None,
            'Sizes of the model that are no lengths and are left out: frog-1 {"type": "number"}.',
        ),
        (True, None, "Sizes of the model that are no lengths and are left out: frog-1 true."),
    ],
)
def test_a_size_that_is_no_number(given, expected, note):
    usual, _ = read_scene(GOOD, PROMPT)
    answer = scene_of(thing("frog", width_m=given), thing("ball"))
    scene, notes = read_scene(json.dumps(answer), PROMPT)
    assert scene.objects[0].width_m == pytest.approx(expected or usual.objects[0].width_m) and notes == [note]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1 m", 0.1),
        ("10 cm", 0.1),
        ("250mm", 0.25),
        ("1.5 metres", 1.5),
        ("about 2 meters", 2.0),
        ("~3m", 3.0),
        ("0,4 m", 0.4),
        ("1,500 mm", 1.5),
        ("1-2 m", 1.5),
        ("2 ft", 0.6096),
        ("10 inches", 0.254),
        ("2", 2.0),
        ("0.1 bananas", None),
        ("m", None),
        ("", None),
        ("1.2.3 m", None),
    ],
)
def test_lengths_in_words(text, expected):
    assert metres(text) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("entry", [7, None, "a", [], {"type": "object", "properties": {}}, {"category": None}])
def test_an_object_that_is_none_costs_itself(entry):
    scene, (note,) = read_scene(json.dumps(scene_of(thing("frog"), entry, thing("ball"))), PROMPT)
    assert [item.id for item in scene.objects] == ["frog-1", "ball-1"] and len(scene.relations) == 1
    assert note == f"Objects of the model that are left out: {json.dumps(entry)}."


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": None}, ("frog-1", "frog", "a frog")),
        ({"id": 3}, ("3", "frog", "a frog")),
        ({"category": None}, ("frog-1", "frog", "a frog")),
        ({"caption": None}, ("frog-1", "frog", "frog")),
        ({"caption": ["green"]}, ("frog-1", "frog", "frog")),
    ],
)
def test_what_an_object_lacks_is_filled_in(changes, expected):
    answer = scene_of(thing("frog", **changes), thing("ball"), relations=[])
    scene, notes = read_scene(json.dumps(answer), PROMPT)
    first = scene.objects[0]
    assert (first.id, first.category, first.caption) == expected and notes == []


def test_things_in_words_alone_or_under_other_keys():
    things = ["a green frog", {"name": "ball", "description": "a blue ball"}, {"caption": "two old shoes"}]
    scene, notes = read_scene(json.dumps(scene_of(*things, relations=[])), PROMPT)
    found = [(item.category, item.caption) for item in scene.objects]
    assert found[:2] == [("frog", "a green frog"), ("ball", "a blue ball")] and found[2][0] == "shoe" and notes == []


def test_a_count_that_the_form_does_not_have():
    scene, notes = read_scene(json.dumps(scene_of(thing("frog", count=3), thing("ball"), relations=[])), PROMPT)
    assert [item.category for item in scene.objects] == ["frog", "frog", "frog", "ball"]
    assert notes == ["Counts of the model, of which each is a thing: 3 of frog-1."]


def test_an_id_of_two_things():
    answer = scene_of(thing("frog"), thing("ball", id="frog-1"), relations=[])
    scene, notes = read_scene(json.dumps(answer), PROMPT)
    assert [item.id for item in scene.objects] == ["frog-1", "ball-1"]
    assert notes == ["Ids of the model that name two things; the later ones have others: frog-1 (ball)."]


def test_objects_by_their_ids():
    answer = {**FROG, "objects": {name: {"category": name[:-2], "caption": name} for name in ("frog-1", "ball-1")}}
    scene, _ = read_scene(json.dumps(answer), PROMPT)
    assert [item.id for item in scene.objects] == ["frog-1", "ball-1"] and len(scene.relations) == 1


def test_notes_are_one_line_of_what_the_model_said():
    relation = {"subject": "frog-1", "predicate": "on\n\x1b[31mX", "object": "moon" * 100}
    _, (note,) = read_scene(json.dumps({**FROG, "relations": [relation]}), PROMPT)
    assert note.isprintable() and len(note) < 200


@pytest.mark.parametrize("text", ["A frog.", "[]", "{}", '{"objects": []}', '{"objects": [{"x": 1}]}'])
def test_what_is_no_scene_is_still_refused(text):
    with pytest.raises(AnswerError):
        read_scene(text, PROMPT)
