"""What is done to the words of a prompt before they are parsed: quotations, tag lists, comparisons of number, choices.

The parser reads sentences; what is written otherwise is put into the words of one first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent.planners.english import words as w
from instdiff.world import nouns

QUOTED = re.compile(r'"([^"]{1,200})"|“([^”]{1,200})”|(?<![\w])\'([^\']{1,200})\'(?!\w)')
QUOTE = "inscription"  # what stands for quoted words in the sentence
ENGLISH_NUMBER = "|".join(sorted((re.escape(word) for word in nouns.UNITS), key=len, reverse=True))
_COLOUR = "|".join(sorted(w.COLOURS))
# "one red and one blue car"
_SHARED_NOUN = re.compile(
    rf"\b((?:{ENGLISH_NUMBER}|a|an)) ((?:{_COLOUR}))(?: one)? and ((?:{ENGLISH_NUMBER}|a|an)) ((?:{_COLOUR})) ([a-z]+)",
    re.I,
)
_NUMBER_OF = re.compile(
    r",?\s*(?:and )?(?:the )?number of (?P<first>[\w -]+?) (?:is|are) (?P<how>more|larger|greater|less|fewer|smaller)"
    r" than (?:that|the number|those) of (?:the )?(?P<second>[\w -]+)",
    re.I,
)
_SAME_NUMBER_OF = re.compile(
    r",?\s*(?:and )?(?:the )?number of (?P<first>[\w -]+?) (?:is|are) (?:the same as|equal to) (?:that|the number|those) of"
    r" (?:the )?(?P<second>[\w -]+)",
    re.I,
)
_MORE_THAN = re.compile(
    r"\b(?P<how>more|fewer|less) (?P<first>(?!than\b)[\w-]+(?: [\w-]+)?) than (?P<second>[a-z-]+)", re.I
)
_AS_MANY = re.compile(r"\b(?:just )?as many (?P<first>[\w-]+(?: [\w-]+)?) as (?P<second>[a-z-]+)", re.I)
_SAME_AS_BEFORE = re.compile(r"\b(?:the |an? )?(?:same|equal) (?:number|amount) of\b", re.I)
_OR = re.compile(
    r"\b(?P<first>(?:an?|the|some|one|two|three) [a-z -]{2,40}?),? or (?P<second>(?:an?|the|some|one|two|three) [a-z -]{2,30}?)(?=[,.;!?]|$| (?:on|in|at|next|under|beside|near|with|behind|by|is|are|and)\b)",
    re.I,
)
_BARE_SIDE = re.compile(
    r"(?<!\bthe )(?<!\bto )(?<!\bon )(?<!\bat )(?<!\bfar )(?<!\bupper )(?<!\blower )(?<!\btop )(?<!\bbottom )\b(left|right) of\b",
    re.I,
)
_ITS_SIDE = re.compile(
    r"\b(to|on) (its|his|her|their) (left|right)\b(?! (?:hand|arm|side|foot|leg|paw|eye|ear|shoulder))", re.I
)
_PRONOUN = {"its": "it", "his": "him", "her": "her", "their": "them"}
_SIDE_HAS = re.compile(r"\b(?:the )?(left|right|top|bottom) (?:side|half) (?:has|holds|shows|contains)\b", re.I)
_SIDE_NAMED = re.compile(
    r"(?<!\bto )\b((?:(?:top|bottom|upper|lower|far) )?(?:left|right|top|bottom|middle|cent(?:er|re)))(?: side)?\s*:\s*",
    re.I,
)
_LOOK_LIKE = re.compile(r"^\s*(?:what|how) (?:would|does|do|did|will|might) (.+?) look(?: like)?(?=\W|$)", re.I)
_ONE_MANY = re.compile(r"^(\d{1,2}|solo|multiple)[ _]?(girl|boy|man|woman|cat|dog|person|child|other)s?$", re.I)
_ASKING = re.compile(
    r"^\s*(?:hi|hello|hey)?[,!. ]*(?:please |now )?(?:(?:can|could|would|will) (?:you )?(?:please )?|i(?:'d| would)? (?:want|like|need|love)"
    r" (?:you )?(?:to )?(?:see )?|let(?:'s| us) |help me )*(?:please )?(?:draw|paint|generate|create|make|show|give|render|produce|sketch|"
    r"imagine|depict|illustrate|visuali[sz]e)?(?: me| us)?(?: please)?\s+(?=(?:an?|the|some|one|two|three|four|five|six|\d+)\b)",
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
    is_tags: bool = False


def rewrite(prompt: str) -> Rewritten:
    """Put a prompt into words that the parser reads well."""
    plain = "".join(letter if letter.isprintable() else " " for letter in prompt)
    plain = " ".join(plain.replace("’", "'").replace("‑", "-").replace("_", " ").split())
    result = Rewritten(plain, plain)
    result.text = QUOTED.sub(lambda match: _quote(match, result), plain)
    result.text = _lower_titles(result.text)
    if tags := _tags(result.text):
        result.text = tags
        result.is_tags = True
    result.text = _ASKING.sub("", result.text, count=1) or result.text
    _compare(result)
    result.text = _SHARED_NOUN.sub(r"\1 \2 \5 and \3 \4 \5", result.text)
    result.text = _LOOK_LIKE.sub(r"\1", result.text)
    result.text = re.sub(r"\bclose[ -]up(?= of| view| shot| image| photo| picture)", "closeup", result.text, flags=re.I)
    result.text = re.sub(r"\bloved one\b", "loved person", result.text, flags=re.I)
    result.text = re.sub(r"\b(work|piece|works|pieces) of art\b", "artwork", result.text, flags=re.I)
    result.text = _SIDE_NAMED.sub(r"on the \1 is ", result.text)
    result.text = _SIDE_HAS.sub(r"on the \1 is", result.text)
    result.text = _ITS_SIDE.sub(lambda m: f"to the {m[3]} of {_PRONOUN[m[2].lower()]}", result.text)
    result.text = _BARE_SIDE.sub(r"to the \1 of", result.text)
    result.text = _OR.sub(lambda match: _choose(match, result), result.text)
    return result


def _quote(match: re.Match, result: Rewritten) -> str:
    words = next(group for group in match.groups() if group)
    result.quotes.append(words)
    return QUOTE


def _lower_titles(text: str) -> str:
    """Lower case for what is all capitals, or a title: the parser takes capitals for names."""
    words = [word for word in re.findall(r"[A-Za-z]+", text) if len(word) > 3]
    capital = sum(word[0].isupper() for word in words)
    if len(words) > 2 and (capital == len(words) or sum(word.isupper() for word in words) > 0.6 * len(words)):
        return text.lower()
    return text


def _tags(text: str) -> str:
    """A list of tags as a sentence: "1girl, red hair, park" -> "one girl with red hair in a park"; empty for others."""
    parts = [part.strip() for part in re.split(r"[,;|\n]", text) if part.strip()]
    numbered = any(_ONE_MANY.match(part) for part in parts)
    styled = any(part.lower() in ("masterpiece", "best quality", "highres", "8k", "4k") for part in parts)
    if len(parts) < 2 or not (numbered or styled) or "." in text.strip(". "):
        return ""
    subjects: list[str] = []
    others: list[str] = []
    for part in parts:
        if match := _ONE_MANY.match(part):
            number = {"solo": 1, "multiple": 3}.get(match[1].lower()) or int(match[1])
            noun = match[2].lower().replace("other", "person")
            subjects.append(f"{nouns.number_word(number)} {nouns.plural_of(noun) if number > 1 else noun}")
        elif set(part.lower().split()) & w.STYLE or part.lower() in ("solo", "highres"):
            continue
        else:
            others.append(part.lower())
    if not subjects and others:
        subjects.append(others.pop(0))
    return " and ".join(subjects) + "".join(map(_tag, others))


def _tag(part: str) -> str:
    """One tag as it follows the subject."""
    last = part.split()[-1]
    if part.split()[0].endswith("ing"):
        return f" {part}"
    noun = nouns.known(last) or nouns.known(part)
    if last in w.CLOTHES:
        return f" wearing {part if last.endswith('s') else nouns.with_article(part)}"
    if nouns.singular_of(last) in w.PARTS:
        return f" with {part}"
    if (noun and noun.thing is None) or last in w.LOCATIONS | w.SCENERY:
        return f" in {nouns.with_article(part)}" if last not in w.SCENERY else f" in {part}"
    return f" and {part if last.endswith('s') else nouns.with_article(part)}"


def _compare(result: Rewritten) -> None:
    """Take comparisons of number out of the text."""

    def note(match: re.Match) -> str:
        how = match.groupdict().get("how") or ""
        sign = 0 if not how else 1 if how.lower() in ("more", "larger", "greater") else -1
        result.compared.append((match["first"].strip().lower(), sign, match["second"].strip().lower()))
        return ""

    def both(match: re.Match) -> str:
        note(match)
        return f"some {match['first']} and some {match['second']}"

    for pattern in (_NUMBER_OF, _SAME_NUMBER_OF):
        result.text = pattern.sub(note, result.text)
    result.text = _MORE_THAN.sub(
        lambda m: both(m) if nouns.singular_of(m["second"]) != m["second"] else m[0], result.text
    )
    result.text = _AS_MANY.sub(both, result.text)
    if match := _SAME_AS_BEFORE.search(result.text):
        following = re.match(r"\s*([\w-]+(?: [\w-]+)?)", result.text[match.end() :])
        result.compared.append(("", 0, following[1].lower() if following else ""))
        result.text = _SAME_AS_BEFORE.sub("some", result.text, count=1)


def _choose(match: re.Match, result: Rewritten) -> str:
    first = match["first"]
    result.notes.append(f'Of "{match[0]}", {first} was chosen.')
    return first


def caption_of(rewritten: Rewritten, negated: list[str]) -> str:
    """The prompt without what it says is absent."""
    caption = rewritten.original
    for words in negated:
        at = caption.lower().find(words.lower())
        if at >= 0:
            caption = caption[:at] + caption[at + len(words) :]
    caption = re.sub(r"\s+([,.;!?])", r"\1", " ".join(caption.split()))
    caption = re.sub(r"([,;])(?=\s*[,.;])", "", caption)
    return re.sub(r"[\s,;]+(?:and|but|with|or)?[\s,;]*$", "", caption.strip(" ,;")) or rewritten.original
