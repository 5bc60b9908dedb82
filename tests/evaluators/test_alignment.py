"""Boxes that CogVLM reported for three pictures, against GPT-4o's plans for them; corners on 512 x 512.

The figures are worked out by hand from the boxes in `golden/cogvlm_alignment/pairs.json`. Each plan has seven things.

Picture 11
  person    planned 30 100 130 300, seen 30 96 159 403: shared 100 * 200 = 20000 (130 - 30 by 300 - 100);
            areas 100 * 200 = 20000 and 129 * 307 = 39603; IoU 20000 / (20000 + 39603 - 20000) = 20000 / 39603 = 0.5050.
            The second person, 200 150 300 350, starts right of 159 and shares nothing.
  forklift  planned 100 350 250 500, seen 105 162 500 501: shared 145 * 150 = 21750;
            areas 150 * 150 = 22500 and 395 * 339 = 133905; IoU 21750 / 134655 = 0.1615.
  vest and hat were seen, and nobody planned them.
Picture 13
  dog       planned 150 150 230 230, seen 256 150 377 379: starts right of 230, IoU 0: matched, but misplaced.
  kite      planned 30 30 110 110, seen 33 29 134 140: shared 77 * 80 = 6160;
            areas 6400 and 101 * 111 = 11211; IoU 6160 / 11451 = 0.5379.
Picture 17
  bird      planned 20 50 120 150, seen 24 49 137 195: shared 96 * 100 = 9600;
            areas 10000 and 113 * 146 = 16498; IoU 9600 / 16898 = 0.5681.
  dog       planned 250 50 350 150, seen 261 53 489 209: shared 89 * 97 = 8633;
            areas 10000 and 228 * 156 = 35568; IoU 8633 / 36935 = 0.2337.
  cart and field were seen, and nobody planned them.

In all: 21 planned, 3 found (person, kite, bird).
"""

import json

import pytest

from evaluators import alignment
from evaluators.__main__ import main
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout
from tests.agent.openai_server import ChatServer, said
from tests.galleries import make_gallery, plain

PERSON = 20000 / 39603
FORKLIFT = 21750 / 134655
KITE = 6160 / 11451
BIRD = 9600 / 16898
DOG = 8633 / 36935


@pytest.fixture
def pairs(golden):
    return alignment.recorded_pairs(golden / "cogvlm_alignment" / "pairs.json")


def test_three_pictures_by_hand(pairs):
    assert [[(v.name, round(v.iou, 6)) for v in pair.report.verdicts if v.detection] for pair in pairs] == [
        [("Person", round(PERSON, 6)), ("Forklift", round(FORKLIFT, 6))],
        [("Dog", 0.0), ("Kite", round(KITE, 6))],
        [("Bird", round(BIRD, 6)), ("Dog", round(DOG, 6))],
    ]
    assert [[extra.category for extra in pair.report.extras] for pair in pairs] == [
        ["vest", "hat"],
        [],
        ["cart", "field"],
    ]
    result = alignment.compare(pairs, "CogVLM").to_json()
    assert result["pictures"]["11"] == {
        "planned": 7,
        "found": 1,
        "recall": 1 / 7,
        "mean_iou": pytest.approx((PERSON + FORKLIFT) / 7),
    }
    every = result["categories"]["all"]
    assert (every["planned"], every["found"]) == (21, 3)
    assert every["mean_iou"] == pytest.approx((PERSON + FORKLIFT + KITE + BIRD + DOG) / 21)  # what was not found counts
    # Persons: two planned in picture 11, three in 13, one in 17; one of six was found.
    assert result["categories"]["person"] == {
        "planned": 6,
        "found": 1,
        "recall": 1 / 6,
        "mean_iou": pytest.approx(PERSON / 6),
    }
    assert result["categories"]["dog"] == {"planned": 2, "found": 0, "recall": 0.0, "mean_iou": pytest.approx(DOG / 2)}
    assert "4 more things" in result["notes"][0]


def test_the_command_reads_recorded_boxes(golden, tmp_path, capsys):
    assert main(["alignment", str(golden / "cogvlm_alignment"), "--out", str(tmp_path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((tmp_path / "results.json").read_text())
    assert ["all", "21", "14.3", f"{(PERSON + FORKLIFT + KITE + BIRD + DOG) / 21:.3f}"] in shown["table"]["rows"]
    assert (tmp_path / "alignment.png").read_bytes().startswith(b"\x89PNG") and "| all | 21 |" in (
        tmp_path / "results.md"
    ).read_text()


def test_the_command_asks_a_live_detector(tmp_path, capsys):
    cat = Instance(caption="a cat", category="cat", box=Box(x0=0, y0=0, x1=0.5, y1=0.5))
    dog = Instance(caption="a dog", category="dog", box=Box(x0=0.5, y0=0.5, x1=1, y1=1))
    layout = Layout(caption="a cat and a dog", instances=(cat, dog))
    folder = make_gallery(tmp_path / "pictures", {"one": (plain("white"), layout)}, verifier="draft")
    command = ["alignment", str(folder), "--out", str(tmp_path / "out"), "--json", "--detector", "vlm:m"]
    with ChatServer(said([{"label": "cat", "box": [0, 0, 0.5, 0.25]}])) as server:
        assert main([*command, "--detector-url", server.url]) == 0
    assert '["cat", "dog"]' in json.dumps(server.requests[0]["messages"]).replace('\\"', '"')
    categories = json.loads(capsys.readouterr().out)["categories"]
    assert (
        categories["cat"] == {"planned": 1, "found": 1, "recall": 1.0, "mean_iou": 0.5}
        and categories["dog"]["mean_iou"] == 0.0
    )


@pytest.mark.parametrize(
    "content, words",
    [
        ("{}", "must be a list"),
        ('[{"id": 1}]', 'needs "plan"'),
        (
            (
                '[{"plan": {"caption": "", "width": 64, "height": 64, "annos": []}, "cogvlm_coco_names": [{"bbox": [1,'
                " 2]}]}]"
            ),
            "must be",
        ),
        (
            (
                '[{"plan": {"caption": "", "width": 64, "height": 64, "annos": []}, "cogvlm_coco_names": [{"bbox": [1,'
                ' 2, 3, "x"]}]}]'
            ),
            "must be",
        ),
    ],
)
def test_other_files_are_refused(content, words, tmp_path):
    (tmp_path / "pairs.json").write_text(content)
    with pytest.raises(BadInput, match=words):
        alignment.recorded_pairs(tmp_path / "pairs.json")


def test_what_steered_does_not_score_and_other_folders_are_refused(tmp_path, capsys):
    folder = make_gallery(tmp_path / "a", {"one": (plain("white"), Layout(caption="x"))}, verifier="draft")
    assert main(["alignment", str(folder), "--detector", "draft"]) == 2
    assert "what steers must not score" in capsys.readouterr().err
    assert main(["alignment", str(tmp_path)]) == 2
    assert "neither manifest.json" in capsys.readouterr().err
