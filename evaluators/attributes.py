"""Do things have the colour, or the texture, that they were asked for? By CLIP, or by a detector that tells them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from evaluators.matching import match
from evaluators.report import Detection
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
SAME_WORD = {"metal": "metallic"}  # the detectors' word -> that of `WORDS`
FOUND_IOU = 0.5


def word_of(kind: str) -> Callable[[dict], str]:
    """The word that an annotation's thing is asked to show, told by the annotation's id alone."""
    words = WORDS[kind]
    return lambda anno: words[int(anno["id"]) % len(words)]


def own_word(anno: dict, kind: str) -> str | None:
    """The word that the annotation itself says its thing shows on the photograph, if it is one of `WORDS`."""
    said = anno.get("attributes")
    value = said.get(FIELDS[kind]) if isinstance(said, dict) else None
    word = SAME_WORD.get(value, value) if isinstance(value, str) else None
    return word if word in WORDS[kind] else None


def told_apart(kind: str, detector_words: Sequence[str]) -> tuple[str, ...]:
    """Those of `WORDS` that a detector with these words can tell."""
    known = {SAME_WORD.get(word, word) for word in detector_words}
    return tuple(word for word in WORDS[kind] if word in known)


def by_detector(
    truths: Sequence[Layout],
    asked: Sequence[Sequence[str | None]],
    seen: Sequence[Sequence[Detection]],
    canonical: Callable[[str], str | None],
    kind: str,
    known: Sequence[str],
) -> dict[str, float | int | None]:
    """How many things were seen in their place with the word that was asked for.

    A thing is found if it is assigned a detection of its category with a box IoU of at least 0.5.

    Args:
        truths: one layout for each picture, with boxes.
        asked: a word for each instance; None is left out.
        seen: what the detector is sure of on each picture.
        known: the words that the detector can tell; things that are asked for others are left out.

    Returns:
        ``asked`` and ``found`` things, ``of_all`` and ``of_found``: the share of those with the right word, 0..1.
    """
    outcomes = []
    for truth, words, sure in zip(truths, asked, seen, strict=True):
        for word, verdict in zip(words, match(truth, sure, canonical, FOUND_IOU).verdicts, strict=True):
            if word in known:
                found = verdict.detection if verdict.iou >= FOUND_IOU else None
                shown = getattr(found, FIELDS[kind]) if found else ""
                outcomes.append((found is not None, SAME_WORD.get(shown, shown) == word))
    found = sum(found for found, _ in outcomes)
    right = sum(right for _, right in outcomes)
    return {
        "asked": len(outcomes),
        "found": found,
        "of_all": _ratio(right, len(outcomes)),
        "of_found": _ratio(right, found),
    }


def by_clip(
    clip: ClipModel, images: Sequence[Image], truths: Sequence[Layout], asked: Sequence[Sequence[str | None]], kind: str
) -> list[tuple[list[bool], list[float]]]:
    """For each picture, for each thing that a word is asked of: is it right, and how much the thing looks like its
    words.

    The picture is cut at the thing's box. It is right if CLIP finds it more like "a red object" than like the same with
    any other of the eight words; the local score is the cosine of the cut and "red car".
    """
    import torch

    words = WORDS[kind]
    prompts = clip.texts([PROMPT.format(word) for word in words])  # (8, D)
    results = []
    for image, truth, some in zip(images, truths, asked, strict=True):
        things = [(instance, word) for instance, word in zip(truth.instances, some, strict=True) if word]
        cuts = clip.images([_cut(image, instance.extent) for instance, _ in things])
        if not things:
            results.append(([], []))
            continue
        names = clip.texts([f"{word} {instance.category}" for instance, word in things])
        chosen = (cuts @ prompts.T).argmax(dim=1).tolist()
        scores = torch.sum(cuts * names, dim=1).tolist()
        results.append(([words[index] == word for index, (_, word) in zip(chosen, things, strict=True)], scores))
    return results


def clip_figures(results: Sequence[tuple[list[bool], list[float]]]) -> dict[str, float | int | None]:
    """``accuracy`` and ``score``: means over the pictures of the means over their things, as the published evaluation
    takes them.
    """
    some = [(right, scores) for right, scores in results if right]
    accuracy = _ratio(sum(sum(right) / len(right) for right, _ in some), len(some))
    score = _ratio(sum(sum(scores) / len(scores) for _, scores in some), len(some))
    return {"asked": sum(len(right) for right, _ in some), "accuracy": accuracy, "score": score}


def _cut(image: Image, box: Box) -> Image:
    """The picture within a box, at least one pixel."""
    x0, y0, x1, y1 = box.to_corners(image.size)
    left = min(int(x0), image.width - 1)
    top = min(int(y0), image.height - 1)
    return image.crop((left, top, max(round(x1), left + 1), max(round(y1), top + 1)))


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None
