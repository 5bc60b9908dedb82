"""Dialects in which vision-language models write boxes: how each is asked, and a function that reads its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from string import Template

import prompts
from evaluators.detectors.prose import denies
from instdiff.errors import BadInput
from instdiff.layout import Box
from prompts.client import AnswerError
from prompts.lenient_json import objects_in
from prompts.thoughts import without_thoughts

MAX_ANSWER_CHARS = 60_000
MAX_BOXES = 200
MAX_LABEL_CHARS = 100
OVERHANG = 0.02  # of the picture; as far past its border a box may reach, and is cut
FRACTIONS = (1, 1)
THOUSANDTHS = (1000, 1000)

LabelledBox = tuple[str, Box]
NUMBERS = r"\s*(\d{1,5})\s*,\s*(\d{1,5})\s*"
QWEN_TAGS = re.compile(
    r"(?:<ref>|<\|object_ref_start\|>)(?P<label>[^<]{1,200})(?:</ref>|<\|object_ref_end\|>)"
    rf"|(?:<box>|<\|box_start\|>)\s*\({NUMBERS}\)\s*,\s*\({NUMBERS}\)\s*(?:</box>|<\|box_end\|>)"
)
PALIGEMMA = re.compile(r"<loc(\d{4})><loc(\d{4})><loc(\d{4})><loc(\d{4})>(?:\s|<seg\d{3}>)*([^<;]{1,200})")
FLORENCE = re.compile(r"(?P<label>[^<>]{1,200})|<loc_(\d{1,3})><loc_(\d{1,3})><loc_(\d{1,3})><loc_(\d{1,3})>")
COGVLM = re.compile(r"\[\[([\d\s,;]{7,4000})\]\]")
CLAUSE = re.compile(
    r"[.,;:!?()\n]|\b(?:and|with|on|in|at|near|by|under|behind|beside|next|to|of|is|are|there|while)\b", re.IGNORECASE
)


def plain_json(text: str, size: tuple[int, int], names: Sequence[str] = ()) -> list[LabelledBox]:
    """``[{"label": "cat", "box": [x0, y0, x1, y1]}]`` in fractions of the picture."""
    return _from_json(text, "box", FRACTIONS, size, names)


def qwen_pixels(text: str, size: tuple[int, int], names: Sequence[str] = ()) -> list[LabelledBox]:
    """Qwen2.5-VL: ``[{"bbox_2d": [x0, y0, x1, y1], "label": "cat"}]`` in pixels of the picture that was sent."""
    return _from_json(text, "bbox_2d", size, size, names)


def qwen_thousandths(text: str, size: tuple[int, int], names: Sequence[str] = ()) -> list[LabelledBox]:
    """Qwen3-VL: the same JSON in thousandths; Qwen-VL and Qwen2-VL: ``<ref>cat</ref><box>(x0,y0),(x1,y1)</box>``."""
    text = _answer(text)
    label = ""
    boxes = []
    for match in QWEN_TAGS.finditer(text):
        if match["label"]:
            label = match["label"]
        else:
            boxes.append((label, _thousandths(*(float(value) for value in match.groups()[1:]))))
    return _on_picture(boxes) if boxes else _from_json(text, "bbox_2d", THOUSANDTHS, size, names)


def gemini(text: str, size: tuple[int, int], names: Sequence[str] = ()) -> list[LabelledBox]:
    """Gemini: ``[{"box_2d": [y0, x0, y1, x1], "label": "cat"}]`` in thousandths, rows first."""
    return _from_json(text, "box_2d", THOUSANDTHS, size, names, rows_first=True)


def paligemma(text: str, size: tuple[int, int], names: Sequence[str] = ()) -> list[LabelledBox]:
    """PaliGemma: ``<loc0250><loc0100><loc0750><loc0900> cat ; ...``, rows first, in 1024 steps; no token, no box."""
    matches = PALIGEMMA.findall(_answer(text))
    boxes = [(label, [int(value) / 1024 for value in (x0, y0, x1, y1)]) for y0, x0, y1, x1, label in matches]
    return _on_picture(boxes)


def florence(text: str, size: tuple[int, int], names: Sequence[str] = ()) -> list[LabelledBox]:
    """Florence-2: ``cat<loc_100><loc_250><loc_900><loc_750>``, columns first, 1000 steps, several boxes a label."""
    label = ""
    boxes = []
    for match in FLORENCE.finditer(re.sub(r"</?(?:s|pad)>", "", _answer(text))):
        if match["label"]:
            label = match["label"]
        else:  # the middle of the step
            boxes.append((label, [(int(value) + 0.5) / 1000 for value in match.groups()[1:]]))
    return _on_picture(boxes)


def cogvlm(text: str, size: tuple[int, int], names: Sequence[str] = ()) -> list[LabelledBox]:
    """CogVLM: ``A cat [[x0,y0,x1,y1;x0,y0,x1,y1]] on a red mat [[...]]`` in thousandths; labels stand before."""
    text = _answer(text)
    boxes = []
    end = 0
    for match in COGVLM.finditer(text):
        phrases = [phrase for phrase in CLAUSE.split(text[end : match.start()][-200:]) if phrase.strip()]
        end = match.end()
        for group in match[1].split(";"):
            values = [int(value) for value in re.findall(r"\d{1,5}", group)]
            if phrases and len(values) == 4:
                boxes.append((phrases[-1], _thousandths(*values)))
    return _on_picture(boxes)


def _answer(text: str) -> str:
    """What a model says, bounded; a draft in its thought is no detection."""
    return without_thoughts(text)[:MAX_ANSWER_CHARS]


def _from_json(
    text: str,
    key: str,
    asked: tuple[int, int],
    size: tuple[int, int],
    names: Sequence[str],
    rows_first: bool = False,
) -> list[LabelledBox]:
    """The boxes under this key, wherever in the text they stand.

    Args:
        asked: (width, height) of the picture in the unit that was asked for.
        size: (width, height) of the picture in pixels.
        names: what was asked for, as `open_name` has it; empty if that is not known.
        rows_first: whether y stands before x.

    Raises:
        AnswerError: there is no JSON with such boxes, nor is it said that there is nothing.
    """
    text = _answer(text)
    entries = [entry for found in objects_in(text) for entry in _with_key(found.value, key)]
    given = [(entry.get("label"), entry[key]) for entry in entries if not _is_nothing(entry[key])]
    boxes = [(label, [float(value) for value in corners]) for label, corners in given if _is_box(corners)]
    if rows_first:
        boxes = [(label, [x0, y0, x1, y1]) for label, (y0, x0, y1, x1) in boxes]
    scale = _unit_of([corners for _, corners in boxes], asked, size)
    labelled = _on_picture([(label, _scaled(corners, scale)) for label, corners in boxes])
    says_nothing = not given and (entries or re.search(r"\[\s*\]", text) or denies(text, names))
    if not labelled and not says_nothing:
        words = json.dumps(" ".join(text.split())[:100], ensure_ascii=False)
        raise AnswerError(f'it holds no "{key}" that can be read as a box on the picture: {words}')
    return labelled


def _unit_of(boxes: list[list[float]], asked: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the picture in the unit that the boxes (x0, y0, x1, y1) of a whole answer are in.

    That is the one that was asked for, unless all lie between 0 and 1, or all are thousandths and several, or the only
    one, neither in it nor within as many pixels as the picture has. One odd box of many makes no other unit.
    """
    if all(value <= 1 for corners in boxes for value in corners):
        return FRACTIONS
    outside = sum(not (_is_within(corners, asked) or _is_within(corners, size)) for corners in boxes)
    is_all_thousandths = all(_is_within(corners, THOUSANDTHS) for corners in boxes)
    return THOUSANDTHS if outside >= min(2, len(boxes)) and is_all_thousandths else asked


def _is_within(corners: Sequence[float], size: tuple[int, int]) -> bool:
    return all(-OVERHANG <= value <= 1 + OVERHANG for value in _scaled(corners, size))


def _scaled(corners: Sequence[float], size: tuple[int, int]) -> tuple[float, ...]:
    """Corners (x0, y0, x1, y1) as fractions of a picture of (width, height)."""
    return tuple(value / size[number % 2] for number, value in enumerate(corners))


def _is_nothing(corners: object) -> bool:
    """True for what stands in the place of a box where there is none: null, [], zeros."""
    if isinstance(corners, list):
        return all(value is None or value in (0, -1) for value in corners)
    return corners is None or (isinstance(corners, str) and corners.strip().lower() in ("", "none", "null", "n/a"))


def _is_box(corners: object) -> bool:
    return isinstance(corners, list) and len(corners) == 4 and all(_is_number(value) for value in corners)


def _with_key(value: object, key: str, depth: int = 0) -> Iterator[dict]:
    """The objects with this key in a JSON value, however they are wrapped."""
    if isinstance(value, dict) and key in value:
        yield value
    elif depth < 5 and isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _with_key(part, key, depth + 1)


def _thousandths(*corners: float) -> tuple[float, ...]:
    return tuple(value / 1000 for value in corners)


def _on_picture(boxes: Sequence[tuple[object, Sequence[float]]]) -> list[LabelledBox]:
    """The first of these (label, corners as fractions) that have a label and a box on the picture."""
    labelled: list[LabelledBox] = []
    for word, corners in boxes:
        label = " ".join(word.split())[:MAX_LABEL_CHARS] if isinstance(word, str) else ""
        if not label or not all(-OVERHANG <= value <= 1 + OVERHANG for value in corners):
            continue
        x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in corners)
        if x0 < x1 and y0 < y1:
            labelled.append((label, Box(x0=x0, y0=y0, x1=x1, y1=y1)))
    return labelled[:MAX_BOXES]


def _is_number(value: object) -> bool:
    """True for a number that is no truth value, finite and of a size that a picture can have."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e6 < value < 1e6


@dataclass(frozen=True)
class Dialect:
    """How to ask: ``prompt`` is a file of ``prompts`` or a template; and how to read the answer.

    ``read`` takes the answer, the size of the picture in pixels, and what was asked for.
    """

    prompt: str
    read: Callable[[str, tuple[int, int], Sequence[str]], list[LabelledBox]]

    def question(self, names: list[str]) -> str:
        """The question for these names."""
        text = prompts.read(self.prompt) if self.prompt.endswith(".md") else self.prompt
        words = json.dumps(names, ensure_ascii=False)
        return Template(text).substitute(names=words, semicolons=" ; ".join(names), sentence=". ".join(names))


DIALECTS = {
    "json": Dialect("detect_json.md", plain_json),
    "qwen-pixels": Dialect("detect_qwen.md", qwen_pixels),
    "qwen-1000": Dialect("detect_qwen.md", qwen_thousandths),
    "gemini": Dialect("detect_gemini.md", gemini),
    "paligemma": Dialect("detect $semicolons", paligemma),
    "florence": Dialect("<CAPTION_TO_PHRASE_GROUNDING>$sentence.", florence),
    "cogvlm": Dialect("detect_cogvlm.md", cogvlm),
}
# The first pattern that is found in a model's name decides; what it was trained to write is a matter of its generation.
PATTERNS = (
    (r"qwen-?2[._-]?5", "qwen-pixels"),
    (r"qwen-?3|qwen-?2-?vl|qwen-vl(-chat)?$", "qwen-1000"),
    (r"qwen", ""),
    (r"paligemma", "paligemma"),
    (r"gemini", "gemini"),
    (r"florence", "florence"),
    (r"cogvlm", "cogvlm"),
)


def dialect_of(model: str, named: str | None = None) -> str:
    """The name of the dialect of a model; ``named`` is the user's choice.

    Raises:
        BadInput: there is no such dialect, or the model's name does not tell which of several it writes.
    """
    if named:
        if named not in DIALECTS:
            raise BadInput("verifier_dialect", f'there is no dialect "{named[:60]}"; choose from {", ".join(DIALECTS)}')
        return named
    dialect = next((name for pattern, name in PATTERNS if re.search(pattern, model.lower())), "json")
    if not dialect:
        cure = "give --verifier-dialect qwen-pixels (2.5) or qwen-1000"
        raise BadInput("verifier", f"the name {model[:100]} does not tell what its boxes mean; {cure}")
    return dialect
