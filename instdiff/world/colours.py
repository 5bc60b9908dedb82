"""Colours in words: which colour a caption asks for, in the eleven basic colour terms."""

from __future__ import annotations

BASIC = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
SYNONYMS = {
    "grey": "gray", "silver": "gray", "charcoal": "gray", "violet": "purple", "lilac": "purple", "lavender": "purple", "magenta": "pink",
    "rose": "pink", "crimson": "red", "scarlet": "red", "maroon": "red", "navy": "blue", "azure": "blue", "turquoise": "blue",
    "teal": "green", "lime": "green", "olive": "green", "golden": "yellow", "gold": "yellow", "tan": "brown", "beige": "brown",
    "ivory": "white", "cream": "white",
}  # fmt: skip
# What follows these words is another thing's colour: "a cup with a red handle".
LINKS = {
    "with",
    "on",
    "in",
    "at",
    "of",
    "and",
    "under",
    "behind",
    "beside",
    "next",
    "near",
    "above",
    "below",
    "wearing",
    "holding",
    "from",
}


def asked_colour(caption: str, name: str = "") -> str | None:
    """The one basic colour that a caption gives its thing ("a dark red car": "red"), or None: no colour, or several.

    Args:
        caption: "a red car with white doors".
        name: the thing's name; a colour word that is the name itself ("an orange") is no colour.
    """
    found: set[str] = set()
    words = caption.lower().replace(",", " ").replace("-", " ").split()
    for index, word in enumerate(words):
        if word in LINKS and index:
            break
        if word in name.lower().split():
            continue
        colour = word if word in BASIC else SYNONYMS.get(word)
        if colour:
            found.add(colour)
    return found.pop() if len(found) == 1 else None
