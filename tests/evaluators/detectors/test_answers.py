import random
import time

import pytest

from evaluators.detectors import dialects
from evaluators.detectors.dialects import DIALECTS, dialect_of
from instdiff.errors import BadInput, ServiceError

SIZE = (400, 200)
CAT = ("cat", (0.1, 0.2, 0.5, 0.6))
DOG = ("dog", (0.5, 0.25, 1.0, 0.75))

READABLE = [
    (dialects.plain_json, '[{"label": "cat", "box": [0.1, 0.2, 0.5, 0.6]}]', [CAT]),
    (dialects.plain_json, '```json\n{"objects": [{"box": [0.1, 0.2, 0.5, 0.6], "label": "cat"}]}\n``` Done!', [CAT]),
    # cut off
    (dialects.plain_json, '[{"label": "cat", "box": [0.1, 0.2, 0.5, 0.6]}, {"label": "dog", "box": [0.5, 0.', [CAT]),
    (
        dialects.plain_json,
        'So: {"label": "cat", "box": [0.1, 0.2, 0.5, 0.6]} and {"label": 7, "box": [0, 0, 1, 1]}',
        [CAT],
    ),
    (
        dialects.plain_json,
        '[{"label": "cat", "box": [0.1, 0.2, 0.5, 0.6]}, {"label": "dog", "box": [40, 50, 60, 70]}]',
        [CAT],
    ),
    (dialects.plain_json, '[{"label": "dog", "box": [0.5, 0.25, 1.01, 0.75]}]', [DOG]),  # a little past the border
    (dialects.plain_json, "[]", []),
    (dialects.plain_json, 'Nothing of it: {"objects": [ ]}', []),
    # a draft in a thought, or a thought alone
    (
        dialects.plain_json,
        '<think>[{"label": "dog", "box": [0, 0, 1, 1]}] no</think>[{"label": "cat", "box": [0.1, 0.2, 0.5, 0.6]}]',
        [CAT],
    ),
    (dialects.plain_json, 'maybe {"label": "dog", "box": [0, 0, 1, 1]}? No.</think>[]', []),
    (dialects.qwen_pixels, '<think>[{"bbox_2d": [0, 0, 9, 9], "label": "dog"}]</think>There are no dogs.', []),
    (dialects.gemini, '<think>{"box_2d": [0, 0, 9, 9], "label": "dog"}</think>[]', []),
    (
        dialects.qwen_thousandths,
        "<think><ref>dog</ref><box>(0,0),(9,9)</box></think><ref>cat</ref><box>(100,200),(500,600)</box>",
        [CAT],
    ),
    (dialects.cogvlm, "<think>A dog [[000,000,009,009]]?</think>A cat [[100,200,500,600]]", [("A cat", CAT[1])]),
    # Python, and comments
    (dialects.plain_json, "[{'label': 'cat', 'box': (0.1, 0.2, 0.5, 0.6), 'sure': True}]", [CAT]),
    (dialects.plain_json, '[{"label": "cat", "box": [0.1, 0.2, 0.5, 0.6]}, // the cat\n]', [CAT]),
    # what is not there
    (dialects.plain_json, '[{"label": "cat", "box": [0.1, 0.2, 0.5, 0.6]}, {"label": "dog", "box": null}]', [CAT]),
    (dialects.plain_json, '[{"label": "dog", "box": null}]', []),
    (dialects.plain_json, '[{"label": "dog", "box": []}]', []),
    (dialects.gemini, '[{"box_2d": [0, 0, 0, 0], "label": "dog"}]', []),
    (dialects.plain_json, "None of these things.", []),
    (dialects.qwen_pixels, "There is no dog in this picture.", []),
    (dialects.gemini, "There are no dogs. No cats were found.", []),
    # in another unit than was asked for, told by the whole answer
    (dialects.qwen_pixels, '[{"bbox_2d": [0.1, 0.2, 0.5, 0.6], "label": "cat"}]', [CAT]),
    (
        dialects.qwen_pixels,
        '[{"bbox_2d": [100, 200, 500, 600], "label": "cat"}, {"bbox_2d": [500, 250, 1000, 750], "label": "dog"}]',
        [CAT, DOG],
    ),
    (
        dialects.qwen_pixels,
        '[{"bbox_2d": [500, 250, 1000, 750], "label": "dog"}, {"bbox_2d": [100, 200, 500, 600], "label": "cat"},'
        ' {"bbox_2d": [10, 20, 30, 40], "label": "cat"}]',
        [DOG, CAT, ("cat", (0.01, 0.02, 0.03, 0.04))],
    ),
    (
        dialects.qwen_pixels,
        '[{"bbox_2d": [500, 250, 1000, 750], "label": "dog"}, {"bbox_2d": [100, 200, 500, 600], "label": "cat"}'
        + ', {"bbox_2d": [10, 20, 30, 40], "label": "cat"}' * 4
        + "]",
        [DOG, CAT, *[("cat", (0.01, 0.02, 0.03, 0.04))] * 4],
    ),
    (dialects.plain_json, '[{"label": "cat", "box": [100, 200, 500, 600]}]', [CAT]),
    (dialects.gemini, '[{"box_2d": [0.2, 0.1, 0.6, 0.5], "label": "cat"}]', [CAT]),
    (dialects.qwen_thousandths, '[{"bbox_2d": [0.5, 0.25, 1.0, 0.75], "label": "dog"}]', [DOG]),
    (dialects.qwen_pixels, '```json\n[{"bbox_2d": [40, 40, 200, 120], "label": "cat"}]\n```', [CAT]),
    (
        dialects.qwen_pixels,
        '[{"bbox_2d": [200, 50, 400, 150], "label": "dog"}, {"bbox_2d": [0, 0, 900, 900], "label": "sky"}]',
        [DOG],
    ),
    (dialects.qwen_thousandths, '[{"bbox_2d": [100, 200, 500, 600], "label": "cat"}]', [CAT]),
    (
        dialects.qwen_thousandths,
        "<ref>cat</ref><box>(100,200),(500,600)</box><ref>dog</ref><box>(500,250),(1000,750)</box>",
        [CAT, DOG],
    ),
    (
        dialects.qwen_thousandths,
        "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(100, 200),(500, 600)<|box_end|><|im_end|>",
        [CAT],
    ),
    (dialects.qwen_thousandths, "<ref>cat</ref><box>(100,200),(500,600)</box><box>(5,", [CAT]),
    (
        dialects.gemini,
        '[{"box_2d": [200, 100, 600, 500], "label": "cat"}, {"box_2d": [250, 500, 750, 1000], "label": "dog"}]',
        [CAT, DOG],
    ),
    (dialects.paligemma, "<loc0256><loc0512><loc0768><loc1024> dog", [DOG]),
    (
        dialects.paligemma,
        "<loc0000><loc0256><loc0512><loc0768><seg001><seg002> cat ; <loc00",
        [("cat", (0.25, 0.0, 0.75, 0.5))],
    ),
    (dialects.paligemma, "<eos>", []),
    (dialects.cogvlm, "[[100,200,500,600]]", []),  # a box of nothing
    (dialects.cogvlm, "A cat [[100,200,500,600]] sits on the mat.", [("A cat", CAT[1])]),
    (
        dialects.cogvlm,
        "There are two dogs[[500,250,1000,750;000,000,100,100]].",
        [("two dogs", DOG[1]), ("two dogs", (0, 0, 0.1, 0.1))],
    ),
    (
        dialects.cogvlm,
        "A cat[[100,200,500,600]] and a big dog[[500,250,1000,750]] and [[1,2",
        [("A cat", CAT[1]), ("a big dog", DOG[1])],
    ),
    (dialects.cogvlm, "no boxes here", []),
]


@pytest.mark.parametrize("read, text, expected", READABLE)
def test_answers_that_can_be_read(read, text, expected):
    found = read(text, SIZE)
    assert [label for label, _ in found] == [label for label, _ in expected]
    for (_, box), (_, corners) in zip(found, expected, strict=True):
        assert box.xyxy == pytest.approx(corners)


def test_florence_takes_the_middle_of_a_step_and_several_boxes_for_a_label():
    text = (
        "</s><s>cat<loc_100><loc_200><loc_499><loc_599>"
        "dog<loc_0><loc_0><loc_9><loc_9><loc_500><loc_250><loc_999><loc_749></s><pad>"
    )
    found = dialects.florence(text, SIZE)
    assert [label for label, _ in found] == ["cat", "dog", "dog"]
    assert found[0][1].xyxy == pytest.approx((0.1005, 0.2005, 0.4995, 0.5995))
    assert found[2][1].xyxy == pytest.approx((0.5005, 0.2505, 0.9995, 0.7495))


@pytest.mark.parametrize(
    "read, key", [(dialects.plain_json, "box"), (dialects.qwen_pixels, "bbox_2d"), (dialects.gemini, "box_2d")]
)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot see any of these things.",  # it does not see the picture, unless it says which
        "I cannot see the picture.",
        "There may be no cat.",
        '<think>[{"label": "cat", "%s": [0.1, 0.2, 0.5, 0.6]}]</think>',  # it only thought
        '<think>[{"label": "cat", "%s": [0.1, 0.2, 0.5, 0.6]}] or',
        '[{"label": "cat", "%s": [0.5, 0.6, 0.1, 0.2]}]',  # corners out of order
        '[{"label": "cat", "%s": [90000, 90000, 99000, 99000]}]',  # in some other format
        '[{"label": "cat", "%s": [NaN, 0, Infinity, 1]}]',
        '[{"label": "cat", "%s": [1e999, 0, 1, true]}]',
        '[{"label": "cat", "%s": "0.1 0.2 0.3 0.4"}]',
        '[{"label": "cat", "other": [0.1, 0.2, 0.5, 0.6]}]',
        '{"label": ' * 5000,
        "[" * 50_000,
        '[{"label": "cat", "%s": [' + "1" * 6000 + ", 0, 1, 1]}]",
    ],
)
def test_answers_that_cannot_be_read_are_our_error(read, key, text):
    with pytest.raises(ServiceError, match=key):
        read(text.replace("%s", key), SIZE)


@pytest.mark.parametrize("name", DIALECTS)
def test_damaged_answers_never_crash_and_are_bounded(name):
    """Every good answer with letters lost, doubled and swapped; and far too long ones."""
    generator = random.Random(0)
    read = DIALECTS[name].read
    texts = [text for _, text, _ in READABLE] + [
        "cat<loc_100><loc_200><loc_499><loc_599>" * 5,
        "<ref>a</ref><box>(1,2),(3,4)</box>" * 10_000,
    ]
    texts += [
        '[{"label": "cat", "box": [0, 0, 1, 1], "bbox_2d": [0, 0, 9, 9], "box_2d": [0, 0, 9, 9]},' * 5000,
        "{" * 100_000,
        "[[" * 50_000,
    ]
    tried = 0
    for text in texts:
        for _ in range(20 if len(text) < 1000 else 1):
            letters = list(text)
            for _ in range(generator.randint(0, 4)):
                at = generator.randrange(len(letters)) if letters else 0
                letters[at : at + generator.randint(0, 3)] = generator.choices(
                    '[]{},:"<>0159_ a', k=generator.randint(0, 3)
                )
            started = time.process_time()
            try:
                found = read("".join(letters), SIZE)
            except ServiceError:
                found = []
            tried += 1
            assert len(found) <= dialects.MAX_BOXES and all(
                label and len(label) <= dialects.MAX_LABEL_CHARS for label, _ in found
            )
            assert time.process_time() - started < 5  # no text takes ever longer
    assert tried > 400


@pytest.mark.parametrize(
    "model, dialect",
    [
        ("gpt-4o", "json"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen-pixels"),
        ("qwen2_5-vl:7b", "qwen-pixels"),
        ("qwen3-vl:8b", "qwen-1000"),
        ("Qwen/Qwen2-VL-7B-Instruct", "qwen-1000"),
        ("Qwen/Qwen-VL-Chat", "qwen-1000"),
        ("gemini-2.5-flash", "gemini"),
        ("google/paligemma-3b-mix-448", "paligemma"),
        ("microsoft/Florence-2-large", "florence"),
        ("zai-org/cogvlm-chat", "cogvlm"),
    ],
)
def test_the_dialect_of_a_model(model, dialect):
    assert dialect_of(model) == dialect
    assert dialect_of(model, "gemini") == "gemini"


@pytest.mark.parametrize(
    "model, named, field", [("qwen-vl-max", None, "verifier"), ("gpt-4o", "klingon", "verifier_dialect")]
)
def test_a_dialect_is_never_guessed(model, named, field):
    with pytest.raises(BadInput) as caught:
        dialect_of(model, named)
    assert caught.value.field == field


@pytest.mark.parametrize("name", DIALECTS)
def test_a_question_names_what_is_looked_for(name):
    question = DIALECTS[name].question(["cat", 'say "hi"'])
    assert "cat" in question and "hi" in question and "$" not in question
