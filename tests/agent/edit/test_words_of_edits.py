"""Edits of the kinds that instruction benchmarks hold, with what must come out of each, on layouts of our own."""

import pytest

from agent.edit import edit_plan
from agent.planners.plan import Plan
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout
from instdiff.world.placement import rests


def layout(caption, *things):
    """Boxes are [x, y, width, height] in pixels of 512 x 512."""
    instances = tuple(
        Instance(caption=said, category=category, box=Box.from_coco(box, (512, 512))) for said, category, box in things
    )
    return Plan(layout=Layout(caption=caption, instances=instances), planner="none")


WINDOW = layout(
    "a white horse and a brown fox at a fence",
    ("a white horse", "horse", (4, 150, 230, 320)),
    ("a brown fox", "fox", (290, 180, 200, 290)),
)
TRAY = layout(
    "a jar and a mug on a tray",
    ("a jar", "jar", (40, 210, 180, 100)),
    ("a mug", "cup", (250, 230, 160, 130)),
)
ROOM = layout(
    "a living room with a grey sofa, a lamp and a table",
    ("a grey sofa", "couch", (154, 256, 230, 143)),
    ("a floor lamp", "lamp", (420, 154, 51, 215)),
    ("a wooden table", "table", (26, 348, 154, 113)),
    ("a white cup", "cup", (77, 307, 36, 46)),
)
LAWN = layout(
    "three red apples and two dogs on grass",
    ("a red apple", "apple", (40, 400, 60, 60)),
    ("a red apple", "apple", (140, 400, 60, 60)),
    ("a red apple", "apple", (240, 400, 60, 60)),
    ("a brown dog", "dog", (320, 250, 110, 140)),
    ("a white dog", "dog", (440, 250, 70, 100)),
)
STREET = layout(
    "a red bus and two parked cars on a street",
    ("a red bus", "bus", (20, 120, 200, 220)),
    ("a blue car", "car", (240, 250, 120, 90)),
    ("a yellow car", "car", (380, 250, 110, 90)),
    ("a tall lamp post", "lamp", (225, 60, 20, 260)),
)


def captions(plan):
    return sorted(instance.caption for instance in plan.layout.instances)


def by_caption(plan):
    return {instance.caption: instance.box for instance in plan.layout.instances}


EXCHANGED = [
    "exchange the position of the white horse and the brown fox",
    "Swap the horse and the fox",
    "swap the horse with the fox",
    "Switch the places of the horse and the fox.",
    "Interchange the white horse and the fox without changing anything else",
    "Let the horse and the fox trade places",
    "The horse and the fox should swap positions",
    "Could you please exchange the horse for the fox?",
    "swap the two animals",
    "Exchange places between the horse and the fox",
    "Put the fox on the left and the horse on the right",
    "move the fox to the left side of the horse",
    "Exchange the horse's position with the fox's",
    "reverse the positions of the horse and the fox",
]


@pytest.mark.parametrize("words", EXCHANGED)
def test_two_things_are_exchanged(words):
    after = edit_plan(WINDOW, words)
    old, new = by_caption(WINDOW), by_caption(after)
    assert captions(after) == captions(WINDOW)
    assert new["a brown fox"].centre.x < 0.4 and new["a white horse"].centre.x > 0.6
    assert new["a brown fox"].area == pytest.approx(old["a brown fox"].area, rel=0.2)


LOOKS = [  # layout, words, captions after, the caption of the scene
    (TRAY, "Turn the mug green and the jar gold", "a gold jar|a green mug", "a gold jar and a green mug on a tray"),
    (TRAY, "turn the mug into green and the jar into gold", "a gold jar|a green mug", None),
    (TRAY, "Change the colour of the mug to green and that of the jar to gold", "a gold jar|a green mug", None),
    (TRAY, "change the mug's color to dark green", "a dark green mug|a jar", None),
    (TRAY, "The mug should be green and the jar should be gold", "a gold jar|a green mug", None),
    (TRAY, "I'd like the mug to be green, please", "a green mug|a jar", None),
    (TRAY, "Recolor the mug as red instead of white", "a jar|a red mug", None),
    (TRAY, "the mug and the jar should become red", "a red jar|a red mug", None),
    (TRAY, "make the mug red, everything else should stay the same", "a jar|a red mug", None),
    (TRAY, "make only the mug red, but not the jar", "a jar|a red mug", None),
    (TRAY, "give the mug a red colour", "a jar|a red mug", None),
    (TRAY, "paint the jar black and white, but leave the mug alone", "a black and white jar|a mug", None),
    (TRAY, "make the jar out of glass", "a glass jar|a mug", None),
    (ROOM, "make the table out of glass", "a floor lamp|a glass table|a grey sofa|a white cup", None),
    (ROOM, "darken the sofa", "a dark grey sofa|a floor lamp|a white cup|a wooden table", None),
    (ROOM, "make the sofa slightly darker", "a floor lamp|a slightly dark grey sofa|a white cup|a wooden table", None),
    (ROOM, "make the sofa look older", "a floor lamp|a white cup|a wooden table|an old grey sofa", None),
    (ROOM, "make the sofa a darker shade of blue", "a dark blue sofa|a floor lamp|a white cup|a wooden table", None),
    (LAWN, "make the apples green", "a brown dog|a green apple|a green apple|a green apple|a white dog",
     "three green apples and two dogs on grass"),
    (LAWN, "make two of the apples green", "a brown dog|a green apple|a green apple|a red apple|a white dog", None),
    (ROOM, "make all the furniture red", "a red floor lamp|a red sofa|a red wooden table|a white cup", None),
    (LAWN, "swap the colours of the brown dog and the white dog",
     "a brown dog|a red apple|a red apple|a red apple|a white dog", None),
    (TRAY, "make the mug with stripes", "a jar|a striped mug", "a jar and a striped mug on a tray"),
    (TRAY, "paint the jar with red and white stripes", "a mug|a red-and-white-striped jar", None),
    (TRAY, "give the jar a spotted pattern and the mug blue dots", "a blue-dotted mug|a spotted jar", None),
    (TRAY, "make the mug with a red stripe", "a jar|a red-striped mug", None),
    (TRAY, "make the mug navy blue and the jar olive green", "a navy blue mug|an olive green jar", None),
    (TRAY, "make the jar striped black and white", "a mug|a striped black and white jar", None),
    (TRAY, "make the mug a wooden one", "a jar|a wooden mug", None),
    (WINDOW, "replace the brown fox with a black one", "a black fox|a white horse", None),
    (ROOM, "make the sofa look like leather", "a floor lamp|a leather grey sofa|a white cup|a wooden table", None),
    (STREET, "both cars should be green", "a green car|a green car|a red bus|a tall lamp post",
     "a red bus and two green cars on a street"),
    (STREET, "turn one car green", "a blue car|a green car|a red bus|a tall lamp post",
     "a red bus and a parked car and a green car on a street"),
    (LAWN, "make the two left apples yellow",
     "a brown dog|a red apple|a white dog|a yellow apple|a yellow apple", None),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "words", "after", "caption"), LOOKS)
def test_looks_change_and_places_do_not(plan, words, after, caption):
    edited = edit_plan(plan, words)
    assert captions(edited) == after.split("|")
    assert [i.box for i in edited.layout.instances] == [i.box for i in plan.layout.instances]
    assert caption in (None, edited.layout.caption)


SIZES = [  # layout, words, what, its caption after, factors of width and height
    (TRAY, "Make the mug 1.25 times larger but keep the jar unchanged", "a mug", "a large mug", 1.25, 1.25),
    (TRAY, "make the mug 1.5x bigger and leave the jar as it is", "a mug", "a large mug", 1.5, 1.5),
    (WINDOW, "Make the fox 1.5 times larger", "a brown fox", "a large brown fox", 1.5, 1.5),
    (TRAY, "enlarge the mug by a factor of 1.5 while keeping the jar the same", "a mug", "a large mug", 1.5, 1.5),
    (TRAY, "scale the mug up by 20%, the rest stays the same", "a mug", "a mug", 1.2, 1.2),
    (TRAY, "the mug should be slightly smaller", "a mug", "a mug", 1 / 1.15, 1 / 1.15),
    (TRAY, "make the mug a bit bigger", "a mug", "a mug", 1.15, 1.15),
    (TRAY, "make the jar considerably smaller", "a jar", "a small jar", 1 / 1.7, 1 / 1.7),
    (TRAY, "make the mug 30 percent taller", "a mug", "a mug", 1.0, 1.3),
    (TRAY, "widen the jar by 20%", "a jar", "a jar", 1.2, 1.0),
    (TRAY, "reduce the size of the jar to half", "a jar", "a small jar", 0.5, 0.5),
    (TRAY, "grow the mug 25%", "a mug", "a large mug", 1.25, 1.25),
    (TRAY, "scale the jar to 80%", "a jar", "a small jar", 0.8, 0.8),
    (TRAY, "make the jar three quarters of its size", "a jar", "a small jar", 0.75, 0.75),
    (TRAY, "I think the mug should be larger by 1.5 times", "a mug", "a large mug", 1.5, 1.5),
    (TRAY, "set the size of the jar to 80%", "a jar", "a small jar", 0.8, 0.8),
    (TRAY, "change the size of the mug by a factor of 1.5", "a mug", "a large mug", 1.5, 1.5),
    (TRAY, "shrink the jar by a third", "a jar", "a small jar", 2 / 3, 2 / 3),
    (TRAY, "make the jar half its size", "a jar", "a small jar", 0.5, 0.5),
    (TRAY, "double the size of the mug", "a mug", "a large mug", 2.0, 2.0),
    (ROOM, "make the lamp as tall as the sofa", "a floor lamp", "a floor lamp", 1.0, 143 / 215),
    (ROOM, "make the cup twice as large as it is now", "a white cup", "a large white cup", 2.0, 2.0),
    (WINDOW, "make the fox 50 pixels taller", "a brown fox", "a brown fox", 1.0, 340 / 290),
    (WINDOW, "make the fox 150 px wide", "a brown fox", "a brown fox", 0.75, 1.0),
    (WINDOW, "the horse should be shorter by 60 px", "a white horse", "a white horse", 1.0, 260 / 320),
    (TRAY, "set the width of the mug to 80 pixels", "a mug", "a mug", 0.5, 1.0),
    (TRAY, "increase the height of the mug by 26 pixels", "a mug", "a mug", 1.0, 1.2),
    (TRAY, "resize the mug to 80 x 65", "a mug", "a mug", 0.5, 0.5),
]


@pytest.mark.parametrize(("plan", "words", "what", "caption", "across", "upward"), SIZES)
def test_one_thing_changes_its_size_as_much_as_asked(plan, words, what, caption, across, upward):
    after = edit_plan(plan, words)
    old = by_caption(plan)[what]
    new = by_caption(after)[caption]
    assert (new.width / old.width, new.height / old.height) == pytest.approx((across, upward))
    assert new.y1 == pytest.approx(old.y1, abs=0.02)
    others = [i for i in plan.layout.instances if i.caption != what]
    assert all(i in after.layout.instances for i in others)


def test_what_has_no_room_to_grow_says_so():
    after = edit_plan(WINDOW, "make the fox 3 times larger")
    old, new = by_caption(WINDOW)["a brown fox"], by_caption(after)["a large brown fox"]
    assert new.width / new.height == pytest.approx(old.width / old.height)
    assert "no room for more" in after.notes[0]


REPLACED = [  # layout, words, captions after, caption of the scene
    (TRAY, "Replace the jar with two round pears", "a mug|a round pear|a round pear",
     "two round pears and a mug on a tray"),
    (TRAY, "replace the jar with a couple of apples", "a mug|an apple|an apple", "two apples and a mug on a tray"),
    (TRAY, "turn the jar into a plate and the mug into a glass", "a glass|a plate", "a plate and a glass on a tray"),
    (TRAY, "replace the jar with a plate and the mug with a glass", "a glass|a plate", None),
    (TRAY, "put a plate instead of the jar", "a mug|a plate", "a plate and a mug on a tray"),
    (TRAY, "Instead of the jar, put a plate", "a mug|a plate", None),
    (TRAY, 'replace "jar" with "plate"', "a mug|a plate", None),
    (TRAY, "replace the jar and the mug with a plate and a glass", "a glass|a plate", None),
    (TRAY, "replace the jar and the mug with a plate", "a plate", None),
    (TRAY, "turn the jar and the mug into two bowls", "a bowl|a bowl", "two bowls on a tray"),
    (TRAY, "substitute a plate for the jar", "a mug|a plate", None),
    (TRAY, "swap the jar for a plate", "a mug|a plate", None),
    (TRAY, "The jar should be replaced by a plate", "a mug|a plate", None),
    (TRAY, "convert the jar to a plate, without moving the mug", "a mug|a plate", None),
    (TRAY, "Replace the jar with a Pikachu", "a mug|a pikachu", "a pikachu and a mug on a tray"),
    (WINDOW, "change the horse into a white fox and the fox into a black horse", "a black horse|a white fox", None),
    (WINDOW, "turn both animals into rabbits", "a rabbit|a rabbit", "two rabbits at a fence"),
    (ROOM, "replace the lamp with a man with a hat", "a grey sofa|a hat|a man|a white cup|a wooden table",
     "a living room with a grey sofa, a man with a hat and a table"),
    (LAWN, "replace both dogs with two cats", "a cat|a cat|a red apple|a red apple|a red apple",
     "three red apples and two cats on grass"),
    (LAWN, "replace both dogs with a cat", "a cat|a red apple|a red apple|a red apple", None),
    (LAWN, "replace every dog with a cat", "a cat|a cat|a red apple|a red apple|a red apple", None),
    (LAWN, "replace the apples with oranges", "a brown dog|a white dog|an orange|an orange|an orange",
     "three oranges and two dogs on grass"),
    (TRAY, "remove the jar and put a plate in its place", "a mug|a plate", "a plate and a mug on a tray"),
    (TRAY, "Take the jar away and place two plates there", "a mug|a plate|a plate", "two plates and a mug on a tray"),
    (TRAY, "remove the jar; in its place put a plate", "a mug|a plate", None),
    (TRAY, "remove the jar and replace it with a plate", "a mug|a plate", None),
    (TRAY, "put a plate in the jar's place", "a mug|a plate", None),
    (TRAY, "put a plate in the place of the jar", "a mug|a plate", None),
    (STREET, "turn each car into a bicycle", "a bicycle|a bicycle|a red bus|a tall lamp post",
     "a red bus and two bicycles on a street"),
    (LAWN, "replace the middle apple with a lemon", "a brown dog|a lemon|a red apple|a red apple|a white dog", None),
    (WINDOW, "replace the horse with a cat and a bird", "a bird|a brown fox|a cat", None),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "words", "after", "caption"), REPLACED)
def test_something_else_takes_the_place(plan, words, after, caption):
    edited = edit_plan(plan, words)
    assert captions(edited) == after.split("|")
    assert caption in (None, edited.layout.caption)
    new = [i.box for i in edited.layout.instances if i not in plan.layout.instances]
    gone = [i.box for i in plan.layout.instances if i not in edited.layout.instances]
    assert all(any(a.iou(b) > 0 for b in gone) for a in new)
    assert all(a.iou(b) < 0.15 for i, a in enumerate(new) for b in new[:i])


def test_a_comparison_is_with_the_old_thing():
    box = by_caption(LAWN)["a brown dog"]
    for words, factor in (("a smaller dog", 1 / 1.3), ("a slightly smaller dog", 1 / 1.15), ("a bigger dog", 1.3)):
        new = edit_plan(LAWN, f"replace the brown dog with {words}").layout.instances[3].box
        assert new.width == pytest.approx(box.width * factor)


COUNTED = [  # words, apples after
    ("there should be five apples", 5),
    ("there should be two apples", 2),
    ("change the number of apples to 4", 4),
    ("remove one of the apples", 2),
    ("remove two apples", 1),
    ("remove all apples except the left one", 1),
    ("remove the second apple from the right", 2),
    ("duplicate the left apple", 4),
    ("add two more apples", 5),
    ("add another apple", 4),
    ("keep only the dogs", 0),
    ("remove everything except the brown dog", 0),
    ("remove all the apples but one", 1),
    ("remove the two left apples", 1),
    ("remove a couple of apples", 1),
    ("take the second apple away", 2),
    ("remove the apples on the left", 1),
    ("leave just one apple", 1),
    ("increase the number of apples by two", 5),
    ("double the number of apples", 6),
    ("reduce the number of apples to one", 1),
    ("there should be one more apple", 4),
    ("there should be twice as many apples", 6),
]


@pytest.mark.parametrize(("words", "number"), COUNTED)
def test_there_are_as_many_as_asked(words, number):
    after = edit_plan(LAWN, words).layout
    assert sum(instance.category == "apple" for instance in after.instances) == number


def test_what_is_left_of_a_kind_leaves_the_others():
    assert len(edit_plan(LAWN, "keep only one apple").layout.instances) == 3


def test_what_stands_beside_a_thing_does_not_go_with_it():
    after = by_caption(edit_plan(STREET, "swap the blue car and the yellow car"))
    assert after["a tall lamp post"] == by_caption(STREET)["a tall lamp post"]


def test_a_long_thing_in_the_place_of_another_does_not_cover_its_neighbours():
    tram = by_caption(edit_plan(STREET, "exchange the bus for a tram"))["a tram"]
    assert tram.intersection(by_caption(STREET)["a yellow car"]) == 0


def test_a_thing_of_unknown_size_is_no_wider_than_what_it_is_on():
    lid = by_caption(edit_plan(TRAY, "add a lid to the jar"))["a lid"]
    assert lid.width <= by_caption(TRAY)["a jar"].width + 1e-9


def moved(plan, words, what):
    """(boxes before, boxes after, the box of the moved thing before and after)."""
    old, new = by_caption(plan), by_caption(edit_plan(plan, words))
    assert {name: box for name, box in new.items() if name != what} == {n: b for n, b in old.items() if n != what}
    return new, old[what], new[what]


MOVES = [  # layout, words, what, how far it goes across and down, in pixels
    (WINDOW, "Move the fox slightly towards the horse", "a brown fox", -41, 0),
    (WINDOW, "bring the fox a little closer to the horse", "a brown fox", -41, 0),
    (ROOM, "move the cup 40 pixels to the right", "a white cup", 40, 0),
    (ROOM, "move the lamp left by 10%", "a floor lamp", -51.2, 0),
    (ROOM, "nudge the cup slightly up", "a white cup", 0, -41),
    (ROOM, "move the cup slightly up and slightly to the right", "a white cup", 41, -41),
    (ROOM, "shift the lamp slightly away from the table", "a floor lamp", 36, 0),
]


@pytest.mark.parametrize(("plan", "words", "what", "across", "down"), MOVES)
def test_a_small_move_keeps_the_size(plan, words, what, across, down):
    _, old, new = moved(plan, words, what)
    assert (new.width, new.height) == pytest.approx((old.width, old.height))
    assert ((new.x0 - old.x0) * 512, (new.y0 - old.y0) * 512) == pytest.approx((across, down), abs=1)


def test_places_by_other_things():
    new, old, lamp = moved(ROOM, "put the lamp on the other side of the sofa", "a floor lamp")
    assert lamp.centre.x < new["a grey sofa"].centre.x < old.centre.x
    new, old, cup = moved(ROOM, "move the cup from the table to the sofa", "a white cup")
    assert rests(cup, new["a grey sofa"]) and cup.area == pytest.approx(old.area)
    new, _, cup = moved(ROOM, "the cup should be on the sofa", "a white cup")
    assert rests(cup, new["a grey sofa"])


def test_several_things_go_several_ways():
    after = by_caption(edit_plan(ROOM, "move the lamp to the left and the cup to the right"))
    old = by_caption(ROOM)
    assert after["a floor lamp"].centre.x < old["a floor lamp"].centre.x
    assert after["a white cup"].centre.x > old["a white cup"].centre.x
    near = by_caption(edit_plan(ROOM, "move the sofa and the lamp closer together"))
    assert near["a floor lamp"].x0 - near["a grey sofa"].x1 < old["a floor lamp"].x0 - old["a grey sofa"].x1


def test_what_is_kept_is_kept():
    swapped = by_caption(edit_plan(WINDOW, "swap the horse and the fox but keep the size of the fox"))
    old = by_caption(WINDOW)
    sides = (old["a brown fox"].width, old["a brown fox"].height)
    assert (swapped["a brown fox"].width, swapped["a brown fox"].height) == pytest.approx(sides)
    carried = by_caption(edit_plan(ROOM, "move the table to the right but leave the cup where it is"))
    assert carried["a white cup"] == by_caption(ROOM)["a white cup"]


REFUSED = [  # layout, words, what the answer names
    (ROOM, "make the sofa blorp", "blorp"),
    (ROOM, "make the sofa red and frobnicate the lamp", "frobnicate"),
    (ROOM, "make the lamp larger and wibble it", "wibble"),
    (ROOM, "frobnicate the lamp", "frobnicate"),
    (ROOM, "paint the sofa with gnurfs", "gnurfs"),
    (ROOM, "add a frumious cat on the sofa", "frumious"),
    (ROOM, "add a cat on the sofa gnurfly", "gnurfly"),
    (ROOM, "replace the lamp with a blorpish vase", "blorpish"),
    (ROOM, "remove the lamp but not the table nor the piano", "piano"),
    (ROOM, "swap the sizes of the lamp and the sofa", "sizes"),
    (ROOM, "move the lamp to the blorp", "blorp"),
    (ROOM, "replace the lamp with a frobnicate", "frobnicate"),
    (ROOM, "add a cat, two on the sofa", "two"),
    (ROOM, "add a cushion red", "red"),
    (ROOM, "resize the sofa red", "how much"),
    (ROOM, "make the sofa much as large", "much as large"),
    (WINDOW, "replace the horse with a cat and the piano with a dog", "the piano"),
    (WINDOW, "move the horse 50 px to the left", "no room"),
    (ROOM, "make the sofa less red", "less"),
    (ROOM, "rotate the lamp by 90 degrees", "rotate"),
    (ROOM, "give the lamp a hat", "gives no look"),
    (ROOM, "make the lamp red but keep the piano", "piano"),
    (ROOM, "leave the lamp as it is", "no change"),
    (ROOM, "make the sofa red but keep the sofa as it is", "changes nothing"),
    (ROOM, "transform the sofa into a bed but keep its colour", "a bed is new"),
    (WINDOW, "replace the horse with the fox", "is there already"),
    (WINDOW, "make the fox 500 times larger", "500"),
    (LAWN, "change the number of dogs to blorp", "blorp"),
    (LAWN, "remove the third dog", "there are 2"),
    (ROOM, "turn the lamp by 90 degrees", "turns a thing"),
    (ROOM, "turn the sofa upside down", "turns a thing"),
    (ROOM, "turn the lamp to the left", "turns a thing"),
    (WINDOW, "flip the fox horizontally", "turns a thing"),
    (LAWN, "get rid of some apples", "how many"),
    (LAWN, "remove half of the apples", "how many"),
    (LAWN, "there must be fewer apples", "how many"),
    (LAWN, "make the apples red, green and blue", "which"),
    (LAWN, "stack the apples", "is there already"),
    (LAWN, "remove the four left apples", "there are 3"),
    (ROOM, "remove the shadow of the lamp", "shadow"),
    (STREET, "make the roof of the bus green", "roof"),
    (TRAY, "make the mug with a crack", "crack"),
    (TRAY, "make the jar with gold trim", "gold trim"),
    (TRAY, "add stripes to the jar", "stripes"),
    (WINDOW, "replace the fox with a cat in stripes", "stripes"),
    (WINDOW, "set the width of the fox to 5000 pixels", "5000"),
]


@pytest.mark.parametrize(("plan", "words", "named"), REFUSED)
def test_what_is_not_understood_is_refused_by_its_words(plan, words, named):
    with pytest.raises(BadInput, match=named) as refused:
        edit_plan(plan, words)
    assert refused.value.field == "edit"
