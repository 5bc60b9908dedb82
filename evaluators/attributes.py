"""Do things have the colour or texture that they were asked for? By CLIP, or by a detector that tells them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from evaluators.matching import match
from evaluators.report import FOUND_IOU, Detection
from instdiff.layout import Box, Layout

if TYPE_CHECKING:
    from PIL.Image import Image

    from evaluators.clip import ClipModel

# The words of the published evaluation, in its order: annotation i gets word i modulo 8.
WORDS = {
    "colours": ("black", "white", "red", "green", "yellow", "blue", "pink", "purple"),
    "textures": ("rubber", "fluffy", "metallic", "wooden", "plastic", "fabric", "leather", "glass"),
}
PROMPT = "a {} object"
FIELDS = {"colours": "colour", "textures": "texture"}  # what detections, and annotations that say it, call a word
WHOLE = Box(x0=0, y0=0, x1=1, y1=1)
SAME_WORD = {"metal": "metallic"}  # the detectors' word -> that of `WORDS`


def word_of(kind: str) -> Callable[[dict], str]:
    """What gives the word that an annotation's thing is asked to show, by the annotation's id alone."""
    words = WORDS[kind]
    return lambda anno: words[int(anno["id"]) % len(words)]


def own_word(anno: dict, kind: str) -> str | None:
    """The word that the annotation itself says its thing shows on the photograph, if it is one of `WORDS`."""
    attributes = anno.get("attributes")
    value = attributes.get(FIELDS[kind]) if isinstance(attributes, dict) else None
    word = SAME_WORD.get(value, value) if isinstance(value, str) else None
    return word if word in WORDS[kind] else None


def tellable(kind: str, detector_words: Sequence[str]) -> tuple[str, ...]:
    """Those of `WORDS` that a detector with these words can tell."""
    known = {SAME_WORD.get(word, word) for word in detector_words}
    return tuple(word for word in WORDS[kind] if word in known)


def by_detector(
    truths: Sequence[Layout],
    asked: Sequence[Sequence[str | None]],
    detections: Sequence[Sequence[Detection]],
    canonical: Callable[[str], str | None],
    kind: str,
    known: Sequence[str],
) -> dict[str, float | int | None]:
    """How many things were seen in their place with the word that was asked for.

    A thing is found if it is assigned a detection of its category with a box IoU of at least 0.5.

    Args:
        truths: one layout for each picture, with boxes.
        asked: a word for each instance; None is left out.
        detections: what the detector is sure of on each picture.
        known: the words that the detector can tell; things that are asked for others are left out.

    Returns:
        ``asked`` and ``found`` things, ``of_all`` and ``of_found``: the share of those with the right word, 0..1.
    """
    asked_count = 0
    found_count = 0
    right_count = 0
    for truth, words, picture in zip(truths, asked, detections, strict=True):
        for word, verdict in zip(words, match(truth, picture, canonical, FOUND_IOU).verdicts, strict=True):
            if word not in known:
                continue
            asked_count += 1
            if verdict.detection and verdict.iou >= FOUND_IOU:
                shown = getattr(verdict.detection, FIELDS[kind])
                found_count += 1
                right_count += SAME_WORD.get(shown, shown) == word
    return right_shares(asked_count, found_count, right_count)


def right_shares(asked: int, found: int, right: int) -> dict[str, float | int | None]:
    """Counts of things, and the shares 0..1 of the right ones: ``of_all`` that are asked for, and ``of_found``."""
    return {"asked": asked, "found": found, "of_all": ratio(right, asked), "of_found": ratio(right, found)}


def by_clip(
    clip: ClipModel, images: Iterable[Image], truths: Iterable[Layout], asked: Iterable[Sequence[str | None]], kind: str
) -> list[tuple[list[bool], list[float]]]:
    """For each picture and each thing with such a word: is it right, and how much the thing looks like its words.

    The picture is cut at the thing's box. It is right if CLIP finds it more like "a red object" than like the same with
    any other of the eight words; the local score is the cosine of the cut and "red car".
    """
    prompts = clip.texts([PROMPT.format(word) for word in WORDS[kind]])  # (8, D)
    results: list[tuple[list[bool], list[float]]] = []
    for image, truth, words in zip(images, truths, asked, strict=True):
        pairs = [(thing, word) for thing, word in zip(truth.instances, words, strict=True) if word]
        if not pairs:
            results.append(([], []))
            continue
        cuts = clip.images([_cut(image, thing.extent or WHOLE) for thing, _ in pairs])  # (n, D)
        names = clip.texts([f"{word} {thing.category}" for thing, word in pairs])  # (n, D)
        likeliest = (cuts @ prompts.T).argmax(dim=1).tolist()
        right = [WORDS[kind][index] == word for index, (_, word) in zip(likeliest, pairs, strict=True)]
        results.append((right, (cuts * names).sum(dim=1).tolist()))
    return results


def clip_figures(results: Sequence[tuple[list[bool], list[float]]]) -> dict[str, float | int | None]:
    """``accuracy`` and ``score``: means over pictures of the means over their things, as published."""
    asked = [(right, scores) for right, scores in results if right]
    accuracy = ratio(sum(sum(right) / len(right) for right, _ in asked), len(asked))
    score = ratio(sum(sum(scores) / len(scores) for _, scores in asked), len(asked))
    return {"asked": sum(len(right) for right, _ in asked), "accuracy": accuracy, "score": score}


def _cut(image: Image, box: Box) -> Image:
    """The picture within a box, at least one pixel."""
    x0, y0, x1, y1 = box.to_corners(image.size)
    left = min(int(x0), image.width - 1)
    top = min(int(y0), image.height - 1)
    return image.crop((left, top, max(round(x1), left + 1), max(round(y1), top + 1)))


def ratio(part: float, whole: int) -> float | None:
    """The share of a part; None of nothing."""
    return part / whole if whole else None
