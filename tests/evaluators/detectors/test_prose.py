"""What vision-language models say where they were asked for boxes: that nothing is there, or something else."""

import pytest

from evaluators.detectors.prose import denies
from prompts.thoughts import without_thoughts

MISSING = {
    "no dog": ("There is no dog in this picture.", ["dog"]),
    "no dogs": ("There are no dogs", ["dog"]),
    "two names": ("There are no dogs or cats.", ["cat", "dog"]),
    "three names": ("There are no dogs, cats, or birds in the picture.", ["bird", "cat", "dog"]),
    "neither": ("Neither a cat nor a dog is visible.", ["cat", "dog"]),
    "a synonym": ("I don't see any sofas in the image.", ["couch"]),
    "a name of two words": ("It shows a kitchen. There is no teddy bear.", ["teddy bear"]),
    "something else is there": ("No dogs are visible. The picture shows a house with a tree.", ["dog"]),
    "another animal is there": ("There are no dogs in this image, only two cats on a sofa.", ["dog"]),
    "none of these": ("None of these objects are present.", ["cat", "dog"]),
    "a word": ("None.", ["cat", "dog"]),
    "cannot see": ("I cannot see any of these things.", ["cat", "dog"]),
    "is not visible": ("The dog is not visible in the image.", ["dog"]),
    "is absent": ("The requested object (dog) is absent from the image.", ["dog"]),
    "unable to find": ("I’m unable to find a zebra in this photo.", ["zebra"]),
    "no box to give": ("Unfortunately, there are no elephants, so I cannot provide a bounding box.", ["elephant"]),
    "no objects": ("No objects detected.", ["cat", "dog"]),
    "after a thought": ('<think>[{"label": "dog", "box": [0, 0, 1, 1]}]? No.</think>There is no dog.', ["dog"]),
}


@pytest.mark.parametrize("case", MISSING)
def test_words_that_deny(case):
    text, names = MISSING[case]
    assert denies(without_thoughts(text), names)


NOT_DENIED = {
    "another name is there": ("There is no dog, but there is a cat.", ["cat", "dog"]),
    "one is not spoken of": ("There is no cat.", ["cat", "dog"]),
    "it stands on another": ("There is no dog on the couch.", ["couch", "dog"]),
    "it lacks something": ("The dog has no collar.", ["dog"]),
    "it is seen in part": ("The dog is not fully visible.", ["dog"]),
    "it is missing a part": ("There is a dog missing a leg.", ["dog"]),
    "a guess": ("There may be no dog.", ["dog"]),
    "no doubt": ("There is no doubt that a dog is there.", ["dog"]),
    "no picture": ("I can't see the image.", ["dog"]),
    "no picture came": ("No image was provided.", ["dog"]),
    "no eyes": ("I cannot view images.", ["dog"]),
    "no help": ("I'm sorry, I can't help with that.", ["dog"]),
    "no faces": ("I can't identify people in pictures.", ["person"]),
    "only thought": ("<think>There is no dog.</think>", ["dog"]),
    "a draft": ('<think>[{"label": "dog", "box": [0, 0, 1, 1]}]', ["dog"]),
}


@pytest.mark.parametrize("case", NOT_DENIED)
def test_words_that_do_not(case):
    text, names = NOT_DENIED[case]
    assert not denies(without_thoughts(text), names)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("There are no dogs. No cats were found.", True),
        ("None of them.", True),
        ("There are no dogs. The picture shows a house.", False),  # a house may have been asked for
        ("I cannot see any of these things.", False),  # the picture may be what it cannot see
        ("No " * 2000, False),
        ("", False),
    ],
)
def test_words_without_names(text, expected):
    assert denies(text) is expected
