"""What is done to the words of a prompt before they are parsed: quotations, tag lists, comparisons of number, choices.

The parser reads sentences; what is written otherwise is put into the words of one first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent.planners.english import words as w
from instdiff.world import nouns

QUOTE = "inscription"  # what stands for quoted words in the sentence
_QUOTED = re.compile(r'"([^"]{1,200})"|“([^”]{1,200})”|(?<!\w)\'([^\']{1,200})\'(?!\w)')
_NUMBER = "|".join(sorted((re.escape(word) for word in nouns.UNITS), key=len, reverse=True))
_COLOUR = "|".join(sorted(w.COLOURS))
_NOUN = r"[\w-]+(?: [\w-]+)?"
_SIGNS = {"more": 1, "larger": 1, "greater": 1, "less": -1, "fewer": -1, "smaller": -1}  # 0 for "as many", "the same"
_NUMBER_OF = re.compile(
    rf",?\s*(?:and )?(?:the )?number of (?P<first>[\w -]+?) (?:is|are) (?P<how>{'|'.join(_SIGNS)}|the same|equal)"
    r" (?:than|as|to) (?:that|the number|those) of (?:the )?(?P<second>[\w -]+)",
    re.I,
)
_MORE_THAN = re.compile(
    rf"\b(?P<how>more|fewer|less|(?:just )?as many) (?P<first>(?!than\b){_NOUN}) (?:than|as) (?P<second>[a-z-]+)", re.I
)
_SAME_AS_BEFORE = re.compile(rf"\b(?:the |an? )?(?:same|equal) (?:number|amount) of\b(?=\s*({_NOUN})?)", re.I)
_CHOSEN = "(?:an?|the|some|one|two|three) [a-z -]"
_OR = re.compile(
    rf"\b(?P<first>{_CHOSEN}{{2,40}}?),? or {_CHOSEN}{{2,30}}?"
    r"(?=[,.;!?]|$| (?:on|in|at|next|under|beside|near|with|behind|by|is|are|and)\b)",
    re.I,
)
_ONE_MANY = re.compile(r"(\d{1,2}|solo|multiple)[ _]?(girl|boy|man|woman|cat|dog|person|child|other)s?", re.I)
_NO_PLACE = "".join(rf"(?<!\b{word} )" for word in "the to on at far upper lower top bottom".split())
_PRONOUNS = {"its": "it", "his": "him", "her": "her", "their": "them"}
_PLAIN = tuple(
    (re.compile(rf"\b(?:{pattern})", re.I), words)
    for pattern, words in (
        (rf"({_NUMBER}|an?) ({_COLOUR})(?: one)? and ({_NUMBER}|an?) ({_COLOUR}) ([a-z]+)", r"\1 \2 \5 and \3 \4 \5"),
        (r"(?:what|how) (?:would|does|do|did|will|might) (.+?) look(?: like)?(?=\W|$)", r"\1"),
        (rf"({_COLOUR})-and-({_COLOUR})\b", r"\1 and \2"),
        (r"close[ -]up(?= of| view| shot| image| photo| picture)", "closeup"),
        (r"loved one\b", "loved person"),
        (
            rf"(?<!the )(?<!a )(?:reading|saying|(?:that|which) (?:reads|says|said)|titled|called|named) (?={QUOTE})",
            "with ",
        ),
        (
            r"play(?:ing|s) a game of (soccer|football|basketball|volleyball|baseball|tennis)\b",
            r"playing with a \1 ball",
        ),
        (rf"(words?|text|saying|letters?|phrase|slogan|label|sign|poster|banner) {QUOTE}", rf"\1 with {QUOTE}"),
        (r"traffic jam\b", "many cars in a traffic jam"),
        (r"games? of (?=chess|checkers|cards|dominoes|billiards|darts)", ""),
        (r"(work|piece|works|pieces) of art\b", "artwork"),
        (
            r"(?<!\bto )((?:(?:top|bottom|upper|lower|far) )?(?:left|right|top|bottom|middle|cent(?:er|re)))"
            r"(?: side)?\s*:\s*",
            r"on the \1 is ",
        ),
        (r"(?:the )?(left|right|top|bottom) (?:side|half) (?:has|holds|shows|contains)\b", r"on the \1 is"),
        (
            r"(?:to|on) (its|his|her|their) (left|right)\b(?! (?:hand|arm|side|foot|leg|paw|eye|ear|shoulder))",
            lambda match: f"to the {match[2]} of {_PRONOUNS[match[1].lower()]}",
        ),
        (rf"{_NO_PLACE}(left|right) of\b", r"to the \1 of"),
    )
)
_ASKING = re.compile(
    r"^\s*(?:hi|hello|hey)?[,!. ]*(?:please |now )?"
    r"(?:(?:can|could|would|will) (?:you )?(?:please )?"
    r"|i(?:'d| would)? (?:want|like|need|love) (?:you )?(?:to )?(?:see )?|let(?:'s| us) |help me )*(?:please )?"
    r"(?:draw|paint|generate|create|make|show|give|render|produce|sketch|imagine|depict|illustrate|visuali[sz]e)?"
    r"(?: me| us)?(?: please)?\s+(?=(?:an?|the|some|one|two|three|four|five|six|\d+)\b)",
    re.I,
)


@dataclass
class Rewritten:
    """``text`` is what is parsed; ``quotes`` are the quoted words in their order.

    ``compared`` are (first noun, sign, second noun) with sign 1 for more of the first, 0 as many, -1 fewer; ``notes``
    say what was chosen.
    """

    original: str
    text: str
    quotes: list[str] = field(default_factory=list)
    compared: list[tuple[str, int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def rewrite(prompt: str) -> Rewritten:
    """Put a prompt into words that the parser reads well."""
    plain = "".join(letter if letter.isprintable() else " " for letter in prompt)
    plain = " ".join(plain.replace("’", "'").replace("‑", "-").replace("_", " ").split())
    result = Rewritten(plain, _QUOTED.sub(QUOTE, plain))
    result.quotes = [words for groups in _QUOTED.findall(plain) for words in groups if words]
    result.text = _lower_titles(result.text)
    result.text = _sentence_of_tags(result.text) or result.text
    result.text = _ASKING.sub("", result.text, count=1) or result.text
    _compare(result)
    for pattern, words in _PLAIN:
        result.text = pattern.sub(words, result.text)
    result.notes = [f'Of "{match[0]}", {match["first"]} was chosen.' for match in _OR.finditer(result.text)]
    result.text = _OR.sub(r"\g<first>", result.text)
    return result


def _lower_titles(text: str) -> str:
    """Lower case for what is all capitals, or a title: the parser takes capitals for names."""
    words = re.findall("[A-Za-z]{4,}", text)
    is_title = all(word[0].isupper() for word in words) or sum(map(str.isupper, words)) > 0.6 * len(words)
    return text.lower() if len(words) > 2 and is_title else text


def _sentence_of_tags(text: str) -> str:
    """A list of tags as a sentence: "1girl, red hair, park" -> "one girl with red hair in a park"; empty for others."""
    tags = [tag.strip().lower() for tag in re.split(r"[,;|\n]", text) if tag.strip()]
    numbered = [match for tag in tags if (match := _ONE_MANY.fullmatch(tag))]
    if len(tags) < 2 or not (numbered or w.TAG_LISTS & set(tags)) or "." in text.strip(". "):
        return ""
    others = [tag for tag in tags if not (_ONE_MANY.fullmatch(tag) or set(tag.split()) & w.STYLE or tag in w.NO_TAGS)]
    subjects = []
    for match in numbered:
        number = {"solo": 1, "multiple": 3}.get(match[1]) or int(match[1])
        noun = match[2].replace("other", "person")
        subjects.append(f"{nouns.number_word(number)} {nouns.plural_of(noun) if number > 1 else noun}")
    if not subjects and others:
        subjects.append(others.pop(0))
    return " and ".join(subjects) + "".join(map(_tag, others))


def _tag(tag: str) -> str:
    """One tag as it follows the subject."""
    last = tag.split()[-1]
    known = nouns.known(last) or nouns.known(tag)
    named = tag if last.endswith("s") else nouns.with_article(tag)
    if tag.split()[0].endswith("ing"):
        return f" {tag}"
    if last in w.CLOTHES:
        return f" wearing {named}"
    if nouns.singular_of(last) in w.PARTS:
        return f" with {tag}"
    if last in w.SCENERY:
        return f" in {tag}"
    if known and known.thing is None or last in w.LOCATIONS:
        return f" in {nouns.with_article(tag)}"
    return f" and {named}"


def _compare(result: Rewritten) -> None:
    """Take comparisons of number out of the text: "more cats than dogs" -> "some cats and some dogs"."""

    def note(match: re.Match) -> str:
        sign = _SIGNS.get(match["how"].lower(), 0)
        result.compared.append((match["first"].strip().lower(), sign, match["second"].strip().lower()))
        return ""

    def name_both(match: re.Match) -> str:
        if nouns.singular_of(match["second"]) == match["second"]:
            return match[0]
        return note(match) or f"some {match['first']} and some {match['second']}"

    result.text = _MORE_THAN.sub(name_both, _NUMBER_OF.sub(note, result.text))
    if match := _SAME_AS_BEFORE.search(result.text):
        result.compared.append(("", 0, (match[1] or "").lower()))
        result.text = _SAME_AS_BEFORE.sub("some", result.text, count=1)


def caption_of(rewritten: Rewritten, negated: list[str]) -> str:
    """The prompt without what it says is absent."""
    caption = rewritten.original
    for words in negated:
        caption = re.sub(re.escape(words), "", caption, count=1, flags=re.I)
    caption = re.sub(r"\s+([,.;!?])", r"\1", " ".join(caption.split()))
    caption = re.sub(r"([,;])(?=\s*[,.;])", "", caption)
    return re.sub(r"[\s,;]+(?:and|but|with|or)?[\s,;]*$", "", caption.strip(" ,;")) or rewritten.original
