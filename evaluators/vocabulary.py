"""Which category a word or phrase means: to a detector with classes of its own, and to one that can be asked for
anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluators.detectors.draft import ARTICLES, LINKS
from instdiff.world.colours import BASIC, SYNONYMS
from instdiff.world.knowledge import Noun, Thing, nouns, singular_of

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "several", "many")
MAX_WORDS = 6  # of a name that is asked for; text encoders read little more


def phrase_words(text: str) -> list[str]:
    """The words of the thing that a phrase names, in lower case: "The dog, on a red mat" -> ["dog"]."""
    words = "".join(letter if letter.isalnum() or letter in "'-" else " " for letter in text.lower()).split()
    while words and words[0] in ARTICLES:
        words = words[1:]
    end = next((index for index, word in enumerate(words) if word in LINKS and index), len(words))
    return words[:end]


def class_of(text: str, classes: Sequence[str]) -> str | None:
    """The one of a detector's classes that a name, a synonym, a plural, a special kind or a phrase means, or None.

    "two red sofas" means the class "couch", "woman" the class "person" where there is no class "woman".
    """
    table = _by_meaning(tuple(classes))
    words = phrase_words(text)
    for start in range(len(words)):  # the longest known end of the phrase: a "toy car" that is known is no car
        phrase = " ".join(words[start:])
        noun = _thing(phrase)
        for name in (phrase, noun and noun.singular, noun and noun.meaning.name):
            if name in table:
                return table[name]
        if noun:
            return None
        if singular_of(phrase) in table:
            return table[singular_of(phrase)]
    return None


def open_name(text: str) -> str | None:
    """What an open-vocabulary detector is asked for: one word for all synonyms, or the phrase itself; None if nothing
    is named.

    Numbers say nothing here, and colours are left to the check of attributes. A special kind stays what it is: "kitten"
    is asked for as "kitten".
    """
    words = phrase_words(text)
    beside = {*BASIC, *SYNONYMS, *NUMBERS}
    while len(words) > 1 and words[0] in beside:
        words = words[1:]
    phrase = " ".join(words[-MAX_WORDS:])
    if not phrase:
        return None
    noun = _thing(phrase)
    if noun is None:
        return singular_of(phrase)
    return noun.singular if noun.singular in noun.meaning.kinds else noun.meaning.name


def asked_name(label: str, names: Sequence[str]) -> str | None:
    """Which of the names that a model was asked for its label means, or else the label as a name; None for no name.

    Models shorten and lengthen: asked for "potted fern" they may say "fern", and "big dog" for "dog". That is taken
    if only one of the names is meant.
    """
    name = open_name(label)
    if name is None or name in names:
        return name
    own = {f" {name}", " " + singular_of(" ".join(phrase_words(label)))}
    near = [other for other in names if any(f" {other}".endswith(form) or form.endswith(f" {other}") for form in own)]
    return near[0] if len(near) == 1 else name


def _by_meaning(classes: tuple[str, ...]) -> dict[str, str]:
    """Each class by its own name, and by the thing that it is another word for ("television" for the class "tv")."""
    table = {_plain(name): name for name in classes}
    for name in classes:
        noun = _thing(_plain(name))
        if noun and noun.singular not in noun.meaning.kinds:  # a class of kittens does not find every cat
            table.setdefault(noun.meaning.name, name)
    return table


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").split())


def _thing(phrase: str) -> Noun | None:
    """What is known of the phrase, if it names a thing."""
    noun = nouns().get(phrase)
    return noun if noun and isinstance(noun.meaning, Thing) else None
