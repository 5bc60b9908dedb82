"""The eleven basic colour terms, and the words that mean one of them."""

from __future__ import annotations

BASIC = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
_SHADES = {
    "gray": "grey silver charcoal",
    "purple": "violet lilac lavender",
    "pink": "magenta rose",
    "red": "crimson scarlet maroon",
    "blue": "navy azure turquoise",
    "green": "teal lime olive",
    "yellow": "golden gold",
    "brown": "tan beige",
    "white": "ivory cream",
}
SYNONYMS = {word: colour for colour, words in _SHADES.items() for word in words.split()}
