"""Whether a vision-language model says in words that what it was asked for is not on the picture."""

from __future__ import annotations

import re
from collections.abc import Sequence

from instdiff.world.nouns import open_name

MAX_CHARS = 2_000  # a longer answer is no plain "no"
LONGEST_NAME = 4  # words
NO = r"\b(?:no|none|neither|nothing|without|zero)\b"
NOT = r"(?:\bnot\b|n't\b|\bnever\b|\bcannot\b)(?! (?:fully|completely|entirely|wholly|clearly|very|well|all)\b)"
SEE = (
    r"(?:see|find|found|spot|detect|locate|identify|observe|notice|contain|show|include|depict|feature|have|appear|"
    r"any|visible|present|shown|depicted|there)"
)
# what is denied stands behind these, up to a preposition ("no dog on the table" has a table) ...
DENIES_REST = re.compile(rf"{NO}|(?:{NOT}|\b(?:unable|failed?) to\b)(?: \w+){{0,2}} {SEE}\w*\b|\blacks?\b|\bfree of\b")
PLACE = re.compile(
    r"\b(?:on|in|at|near|by|under|behind|beside|next|with|over|above|below|inside|around|from|to|that)\b"
)
# ... and on both sides of these
DENIES_ALL = re.compile(
    rf"(?:{NOT}|\bnowhere\b)(?: \w+){{0,2}} (?:visible|present|shown|depicted|found|detected|seen|there|included"
    r"|(?:in|on) (?:the|this) (?:picture|image|photo|scene))\b"
    r"|\babsent\b|\bmissing\b(?! (?:an?|its|his|her|their|one|some|part|the)\b)|\bnone (?:found|detected|visible)\b"
)
ANYTHING = re.compile(
    r"\bany\W*$|^\W*(?:none|nothing|no)\W*$"
    r"|\b(?:none|nothing|neither|any) (?:of|found|detected|visible|here|there|matching|on|in)\b"
    r"|\b(?:of|any|no) (?:\w+ )?(?:these|those|them|such|listed|requested|mentioned|matching)\b"
    r"|\b(?:no|any) (?:\w+ ){0,2}(?:objects?|things?|items?|instances?|match(?:es)?|detections?|results?|box(?:es)?)\b"
)
CLAUSE = re.compile(
    r"[.;!?\n]+|\b(?:but|however|although|though|while|whereas|only|just|except|instead|rather)\b"
    r"|(?:,\s*|,?\s*\band )(?=(?:there|it|the|this|i|we|he|she|they|one|two|three)\b)"
)
# the model does not see the picture, will not look, or does not know
NO_DENIAL = re.compile(
    r"\b(?:see|view|access|open|process|analy[sz]e|interpret|display|look at|receive|find)\w* "
    r"(?:(?:the|an|any|this|that|your|a|or|\w+ing) )*(?:images?|pictures?|photos?|photographs?|attachments?|files?)\b"
    r"|\bno (?:image|picture|photo|attachment|doubt|question|problem|idea)\b"
    r"|\b(?:image|picture|photo)s? (?:was|were|is|has|could|cannot|can)\s*(?:n't|not)? ?(?:been )?"
    r"(?:provided|attached|loaded?|uploaded|received|missing|blank)\b"
    r"|\b(?:was|were|is|has)(?:n't| not)(?: been)? (?:provided|attached|uploaded)\b"
    r"|\b(?:sure|certain|unclear|uncertain|maybe|perhaps|possibly|probably|might|may|could be|hard to|difficult to)\b"
    r"|\b(?:assist|help|comply|language model|other than|apart from|besides|guess)\b"
    r"|\bidentify (?:real )?(?:people|persons|individuals|faces)\b"
)


def denies(text: str, names: Sequence[str] = ()) -> bool:
    """Whether the text says that nothing of these names is on the picture.

    Other things may be said to be there; a name that is spoken of in any other way, or a doubt, is no denial.

    Args:
        text: a model's answer, without its thoughts.
        names: as `open_name` has them; without any, every clause has to say that something is not there. "I cannot see"
            may then be about the picture.
    """
    text = re.sub(r"[ \t]+", " ", text.lower().replace("’", "'"))
    if len(text) > MAX_CHARS or NO_DENIAL.search(text):
        return False
    denied: set[str] = set()
    denies_anything = False
    for clause in filter(str.strip, CLAUSE.split(text)):
        absent, present = _split(clause)
        if not names and not (absent is not None and re.search(NO, clause)):
            return False
        if absent is not None:
            denied |= _named(absent, names)
            denies_anything |= not names or bool(ANYTHING.search(clause) and not _named(clause, names))
        if _named(present, names):
            return False
    return denies_anything or (bool(names) and denied >= set(names))


def _split(clause: str) -> tuple[str | None, str]:
    """What a clause says is not there, None if it denies nothing; and what else it speaks of."""
    if DENIES_ALL.search(clause):
        return clause, ""
    denial = DENIES_REST.search(clause)
    if denial is None:
        return None, clause
    rest = clause[denial.end() :]
    place = PLACE.search(rest)
    end = place.start() if place else len(rest)
    return rest[:end], f"{clause[: denial.start()]} | {rest[end:]}"


def _named(words: str, names: Sequence[str]) -> set[str]:
    """Which of the names are in these words, under any of their synonyms."""
    if not names:
        return set()
    found: set[str] = set()
    for phrase in re.split(r"[^a-z' -]+|\b(?:and|or|nor|a|an|the|any|of)\b", words):
        parts = phrase.replace("-", " ").split()
        for length in range(1, LONGEST_NAME + 1):
            for start in range(len(parts) - length + 1):
                found.add(open_name(" ".join(parts[start : start + length])) or "")
    return found & set(names)
