"""What a picture shows of counts, relations and attributes, told from what a detector saw on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evaluators.colours import asked_colour
from evaluators.report import Detection
from evaluators.synonyms import open_name
from instdiff import knowledge
from instdiff.relations import slack
from instdiff.scene import Predicate

CERTAIN = 0.5  # what is seen with less certainty is not counted

Canonical = Callable[[str], str | None]  # maps a category to the detector's own word for it, or None


def seen_of(
    detections: Sequence[Detection], category: str, canonical: Canonical = open_name, min_score: float = CERTAIN
) -> list[Detection]:
    """The detections of a category, under this name or another; none for a category that the detector does not know."""
    name = canonical(category)
    return [one for one in detections if name is not None and one.score >= min_score and canonical(one.category) == name]


def count_of(detections: Sequence[Detection], category: str, canonical: Canonical = open_name, min_score: float = CERTAIN) -> int:
    """How many of a category were seen."""
    return len(seen_of(detections, category, canonical, min_score))


def relation_holds(
    detections: Sequence[Detection],
    subject: str,
    predicate: Predicate,
    other: str | None = None,
    canonical: Canonical = open_name,
    min_score: float = CERTAIN,
) -> bool:
    """True if every subject that was seen, and there is one, has the relation to another thing that was seen.

    Measured as plans are, by `instdiff.relations.slack`.

    Args:
        subject, other: categories; a place on the picture (``Predicate.LEFT``) needs no other.
        predicate: what is asked.
    """
    subjects = seen_of(detections, subject, canonical, min_score)
    if predicate.is_place:
        return bool(subjects) and all(slack(predicate, one.box.xyxy) > 0 for one in subjects)
    others = seen_of(detections, other or "", canonical, min_score)
    aloft = _is_aloft(other or "")
    return bool(subjects) and all(
        any(slack(predicate, one.box.xyxy, two.box.xyxy, aloft) > 0 for two in others if two is not one) for one in subjects
    )


def attribute_holds(detection: Detection, attribute: str) -> bool | None:
    """Whether a thing has a colour ("dark red") or texture ("striped"); None if the detector does not tell this kind of attribute.

    A word that is no colour is taken for a texture.
    """
    colour = asked_colour(attribute)
    seen, wanted = (detection.colour, colour) if colour else (detection.texture, attribute.strip().lower())
    return seen == wanted if seen else None


def _is_aloft(category: str) -> bool:
    """True for what hangs or flies: other things may be under it from afar."""
    noun = knowledge.nouns().get(open_name(category) or "")
    return bool(noun and isinstance(noun.meaning, knowledge.Thing) and noun.meaning.on[0] in ("sky", "wall", "ceiling"))
