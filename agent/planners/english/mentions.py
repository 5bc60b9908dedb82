"""The noun phrases of a parsed text: what each names, how many, how they look, and what they are to the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.kinds import Kind, Named, governor, has_of, kind_of
from agent.planners.english.parser import Parsed, is_noun, is_only_verb, is_verb
from agent.planners.english.parts import last_word
from instdiff.world import knowledge, lexicon, nouns

if TYPE_CHECKING:
    from spacy.tokens import Token

COMPONENTS = w.PARTS - w.DETACHED | w.COMPONENTS
SUBSTANCE = w.COLOURS | w.MATERIALS  # may be said of the noun that follows
NO_WHOLES = w.COLOURS - w.COLOURED_FRUIT | w.MATERIALS | w.BEFORE_PARTS  # in "a glass window", "a computer keyboard"
NO_NAMES = w.ADJECTIVES | w.PHYSICAL | w.SHAPES
BAKED = (w.HYPERNYMS["animal"] | w.HYPERNYMS["vehicle"]) - w.EATEN
BUILDINGS = frozenset(("building", "structure", "mercantile establishment", "place of business", "house", "shop"))
ACTING = frozenset(("person", "animal", "dragon", "robot", "monster"))
MODIFIERS = ("compound", "nmod", "amod", "npadvmod", "quantmod", "nummod")
PARTICIPLES = ("VBG", "VBN", "VBD")
ALWAYS_SEEN = 0.9  # share of its uses in which a noun names what can be seen
MOST = 1000  # things that are counted
DETERMINERS = (
    dict.fromkeys(nouns.OWN, "own")
    | dict.fromkeys((*nouns.DEFINITE, "both"), "the")
    | dict.fromkeys(nouns.INDEFINITE, "a")
    | {"each": "each", "every": "each", "no": "no"}
)


@dataclass(frozen=True)
class Mention:
    """One noun phrase: tokens ``start`` to ``at``, its head.

    ``count`` is 0 where the words give no number; ``determiner`` is "a", "the", "own" (his, its), "each", "no",
    "number" or empty; ``adjectives`` are in the order of the text; ``owner`` is the token whose it is, or -1.
    """

    at: int
    start: int
    noun: str
    category: str
    kind: Kind
    determiner: str = ""
    count: int = 0
    plural: bool = False
    vague: bool = True
    adjectives: tuple[str, ...] = ()
    is_known: bool = True
    owner: int = -1


def mentions_of(parsed: Parsed) -> dict[int, Mention]:
    """The mentions of a text by the token of their head."""
    return {token.i: _mention(parsed, token) for token in parsed.doc if _is_head(parsed, token)}


def _beside(token: Token, step: int) -> Token | None:
    """The token before (-1) or after (1) another, None at the ends of the text."""
    return token.doc[token.i + step] if 0 <= token.i + step < len(token.doc) else None


def _is_head(parsed: Parsed, token: Token) -> bool:
    """True for a noun that is no part of another noun's phrase."""
    name = parsed.names[token.i]
    following = _beside(token, 1)
    if name == "another":
        return token.dep_ in ("dobj", "dative") and token.head.pos_ in ("VERB", "ADJ")
    if token.pos_ == "PRON":
        return name in w.PERSONS and name not in ("one", "other")
    if not any(map(str.isalpha, nouns.singular_of(name))) or name in nouns.NUMBERS or name in w.NO_HEADS:
        return False
    if following is not None:
        if name.endswith("ing") and following.pos_ == "DET" or following.text in "-–" and not token.whitespace_:
            return False  # "building a tower", "diamond-shaped"
        if name in SUBSTANCE and following.pos_ != "ADP" and _may_be_noun(parsed.names[following.i]):
            return False
    if not is_noun(token) and not _is_noun_after_all(parsed, token):
        return False
    return not _is_doing(parsed, token) and not _is_modifier(parsed, token)


def _may_be_noun(name: str) -> bool:
    return bool(nouns.known(name) or lexicon.lexeme(name))


def _is_doing(parsed: Parsed, token: Token) -> bool:
    """True for the "standing" of "a cricketer standing", which some take for the noun."""
    name = parsed.names[token.i]
    if not name.endswith("ing") or nouns.known(name) or len(name) < 6 or name in w.META:
        return False
    is_after_noun = is_noun(_beside(token, -1))
    if is_after_noun and lexicon.is_kind_of(nouns.singular_of(parsed.names[token.i - 1]), ACTING):
        return True
    entry = lexicon.lexeme(name)
    if entry and entry.seen >= lexicon.LEAST_SEEN or token.dep_ in ("compound", "amod") and token.head.i > token.i:
        return False
    return is_after_noun or entry is None and all(child.dep_ != "det" for child in token.children)


def _is_noun_after_all(parsed: Parsed, token: Token) -> bool:
    """True for a known thing that was taken for a verb or an adjective, though an article or number leads to it."""
    name = parsed.names[token.i]
    previous = _beside(token, -1)
    if previous is not None and previous.tag_ == "CD" and token.pos_ == "VERB" and not is_verb(name):
        return True  # "two chemtrails"
    if token.pos_ in ("DET", "ADP", "NUM", "AUX"):
        return False
    if not nouns.known(name):
        return _ends_phrase(name, token)
    if " " in name or token.dep_ == "pobj" and not is_noun(previous) or token.dep_ == "conj" and is_noun(token.head):
        return True
    if previous is None:
        return len(token.doc) == 1
    leads = previous.pos_ in ("DET", "NUM", "ADJ") or previous.tag_ == "PRP$"
    return leads or parsed.names[previous.i] in SUBSTANCE


def _ends_phrase(name: str, token: Token) -> bool:
    """True for the pendant of "a round pendant and ...", which only nouns name and which no noun follows."""
    entry = lexicon.lexeme(name)
    following, previous = _beside(token, 1), _beside(token, -1)
    ends = following is None or following.pos_ in ("CCONJ", "PUNCT", "ADP", "AUX")
    is_led = previous is not None and previous.pos_ in ("DET", "ADJ", "NUM", "NOUN")
    only_thing = entry is not None and entry.seen >= ALWAYS_SEEN and name not in NO_NAMES
    return only_thing and ends and is_led and token.pos_ in ("ADJ", "X")


def _is_modifier(parsed: Parsed, token: Token) -> bool:
    """True for a noun that only describes the noun after it: "kitchen" of "kitchen table"."""
    head = token.head
    if token.dep_ not in MODIFIERS or head.i <= token.i or head.tag_ == "JJR":  # "a lemon smaller than a grape"
        return False
    between = token.doc[token.i + 1 : head.i]
    if _is_doing(parsed, head) or any(t.tag_ in PARTICIPLES and t.lower_ not in w.BOUND for t in between[:1]):
        return False  # "the patrons sipped and savored the brew", but "a snow covered hill"
    if any(t.dep_ == "det" or t.tag_ in w.BREAKS and not _joins_looks(parsed, t) for t in between):
        return False
    if token.dep_ == "nmod":
        return is_noun(head) and all(t.dep_ != "nummod" for t in token.lefts)
    return is_noun(head) or head.pos_ in ("ADJ", "X", "NUM")


def _joins_looks(parsed: Parsed, token: Token) -> bool:
    """True for the "and" of "blue and white vase", the comma of "soft, warm fur"."""

    def is_look(neighbour: Token | None) -> bool:
        if neighbour is None or parsed.names[neighbour.i] in w.SIDES:
            return False
        described = neighbour.pos_ == "ADJ" or neighbour.tag_ in ("VBG", "VBN")
        return described or parsed.names[neighbour.i] in w.ADJECTIVES

    return is_look(_beside(token, -1)) and is_look(_beside(token, 1))


def _start(parsed: Parsed, head: Token) -> int:
    """The first token of the phrase that the head ends."""
    start = head.i
    while start and _is_of_phrase(parsed, parsed.doc[start - 1], head, start):
        start -= 1
    return start


def _is_of_phrase(parsed: Parsed, token: Token, head: Token, start: int) -> bool:
    """True for a token that belongs to the noun phrase of which the tokens after it are known to be."""
    is_below = (
        head.is_ancestor(token) or token.dep_ in ("det", "nummod", "amod", "compound") and token.head.i >= token.i
    )
    is_beside = start == head.i and not is_noun(head) and token.pos_ in ("ADJ", "DET", "NUM")  # of a misread noun
    if not is_below and not is_beside and not (start == head.i and parsed.names[token.i] in w.MATERIALS):
        return False
    if token.pos_ in ("ADP", "AUX", "SCONJ", "INTJ") or token.tag_ == "POS":
        return False
    if token.pos_ == "PRON" and token.tag_ != "PRP$":
        return False
    if token.text in (",", "and", "or", "&"):
        return _joins_looks(parsed, token)
    if token.pos_ == "PUNCT" and token.text not in "-–\"'“”":
        return False
    previous = _beside(token, -1)
    if token.tag_ in PARTICIPLES and is_noun(previous) and not _is_modifier(parsed, previous):
        return False  # "a giraffe walking through ..."
    return not _is_head(parsed, token) and not _is_doing(parsed, token)


def _mention(parsed: Parsed, head: Token) -> Mention:
    start = _start(parsed, head)
    pieces = _pieces(parsed, start, head.i)
    number = _number_of([word for word, _ in pieces])
    determiner = number.determiner
    count = number.count
    vague = number.vague
    tags = [tag for _, tag in pieces[len(pieces) - len(number.looks) :]]
    head_word = parsed.names[head.i]
    noun, plural, meaning, looks = _name(head, head_word, number.looks, tags)
    members = _members(parsed, head)
    herd = _inner_thing(looks) if head_word in nouns.COLLECTIVES and not members else None
    if herd and lexicon.is_living(herd.name) and herd.name != "person":  # "an owl family"
        count, vague, plural, noun, meaning = (
            max(count, nouns.COLLECTIVES[head_word]),
            True,
            True,
            herd.singular,
            herd.thing,
        )
        looks = looks[: looks.index(noun)] if noun in looks else []
    elif head_word in nouns.PEOPLE_COLLECTIVES and (members or not has_of(head)):
        count = members or max(count, nouns.PEOPLE_COLLECTIVES[head_word])
        vague = head_word not in w.EXACT_COLLECTIVES
        plural = True
        noun = "person"
        meaning = knowledge.things()["person"]
    is_person = not meaning and (noun in w.PERSONS or lexicon.is_person(noun))
    category = "person" if is_person else meaning.name if isinstance(meaning, knowledge.Thing) else noun
    is_known = is_person or isinstance(meaning, knowledge.Thing)
    kind = kind_of(Named(head, noun, meaning, determiner, frozenset(looks), governor(head)))
    inner = _inner_thing([*looks, *noun.split()[:-1]])
    if inner and _shows(noun, inner):  # "an elephant toy"
        category = inner.name
        if " " not in noun and inner.singular in looks:
            looks = looks[: looks.index(inner.singular)]
            noun = f"{inner.singular} {noun}"
    elif inner and (_is_misread(head, head_word, determiner) or _is_part_of(inner, noun, kind, meaning, tags)):
        noun = inner.singular
        kind = Kind.THING
        plural = inner.plural
        category = inner.name
        is_known = True
        looks = looks[: looks.index(noun)] if noun in looks else looks
    elif is_only_verb(head_word) and meaning is None or _is_activity(parsed, head, start):
        kind = Kind.UNSEEN
    if kind is Kind.SETTING and meaning:
        category = meaning.name
    of_whom = start - 2 if start > 1 and parsed.doc[start - 1].tag_ == "POS" else -1
    owner = next((token.i for token in parsed.doc[start : head.i] if token.tag_ == "PRP$"), of_whom)
    return Mention(head.i, start, noun, category, kind, determiner, count, plural, vague, tuple(looks), is_known, owner)


def _pieces(parsed: Parsed, start: int, end: int) -> list[tuple[str, str]]:
    """The words from one token up to another with their tags, those written together joined: "black-tipped"."""
    pieces: list[tuple[str, str]] = []
    for token in parsed.doc[start:end]:
        name = parsed.names[token.i]
        if token.text in '"“”' or token.pos_ == "ADV" and name not in w.ADJECTIVES:
            continue
        is_joined = pieces and parsed.spans[token.i][0] == parsed.spans[token.i - 1][1]
        if is_joined and (token.text in "-–" or pieces[-1][0].endswith("-")):
            pieces[-1] = (pieces[-1][0] + name, token.tag_)
        else:
            pieces.append((name, token.tag_))
    return [(word.removesuffix("-"), tag) for word, tag in pieces]


@dataclass(frozen=True)
class Number:
    """What the words before a noun say of its number: ``count`` is 0 where they say none; ``looks`` are the others."""

    determiner: str
    count: int
    vague: bool
    looks: list[str]


def _number_of(words: list[str]) -> Number:
    """Read the articles and numbers that words begin with: "the two small" -> the, 2, exactly, small."""
    determiner = ""
    count = 0
    vague = True
    at = 0
    while at < len(words):
        phrases = [" ".join(words[at : at + length]) for length in range(4, 0, -1)]
        phrase = next((phrase for phrase in phrases if phrase in nouns.NUMBERS), "")
        if phrase:
            count = nouns.NUMBERS[phrase]
            vague = phrase in nouns.VAGUE or phrase in w.INEXACT
            determiner = determiner if phrase in w.COUNTING_LOOKS else "number"
            if phrase == "twin":  # twin beds are a kind of bed
                break
        elif words[at].isdecimal():
            count = int(words[at][:4])
            vague = False
            determiner = "number"
        elif words[at] in DETERMINERS:
            determiner = DETERMINERS[words[at]]
            if words[at] == "both":
                count = 2
                vague = False
        elif words[at] not in w.AROUND_NUMBERS:
            break
        at += max(len(phrase.split()), 1)
    return Number(determiner, min(count, MOST), vague, words[at:])


def _name(
    head: Token, word: str, looks: list[str], tags: list[str]
) -> tuple[str, bool, knowledge.Thing | knowledge.Setting | None, list[str]]:
    """The noun in the singular, if that was a plural, what is known of it, and the words before it."""
    is_plural = head.tag_ in ("NNS", "NNPS")
    for start in range(max(len(looks) - nouns.LONGEST_NAME + 1, 0), len(looks) + 1):
        before = looks[start:]
        noun = None if "," in before or w.COLOURS.intersection(before[:1]) else nouns.known(" ".join((*before, word)))
        if noun:
            plural = noun.plural or is_plural and word == nouns.plural_of(noun.singular)
            return noun.singular, plural, noun.meaning, looks[:start]
    singular = nouns.singular_of(word)
    plural = is_plural or lexicon.lexeme(word) is None and lexicon.lexeme(singular) is not None
    own = len(looks)
    while own and tags[own - 1].startswith("NN") and looks[own - 1] not in NO_NAMES:
        own -= 1
    return " ".join((*looks[own:], singular if plural else word)), plural, None, looks[:own]


def _members(parsed: Parsed, head: Token) -> int:
    """4 for "a family of four", 0 elsewhere."""
    numbers = [parsed.names[t.i] for prep in head.children if prep.lower_ == "of" for t in prep.children]
    return next((nouns.NUMBERS[number] for number in numbers if number in nouns.NUMBERS), 0)


def _inner_thing(words: list[str]) -> nouns.Noun | None:
    """The bear of "a bear birthday party", the car of "a car hood": a thing before a head that is none."""
    known = (nouns.known(word) for word in reversed(words) if word not in NO_WHOLES)
    return next((noun for noun in known if noun and noun.thing), None)


def _shows(noun: str, inner: nouns.Noun) -> bool:
    """True for what has the look of a thing: an elephant toy, a truck cake (but not a chicken pie)."""
    return last_word(noun) in w.MODELS or last_word(noun) in w.BAKED and inner.name in BAKED


def _is_misread(head: Token, head_word: str, determiner: str) -> bool:
    """True for a head that is a verb: "swam" of "two goldfish swam", "runs" of "a horse runs"."""
    misread = is_only_verb(head_word) or determiner == "a" and head.tag_ == "NNS"
    return misread and head_word not in w.ALWAYS_PLURAL


def _is_part_of(inner: nouns.Noun, noun: str, kind: Kind, meaning: object, tags: list[str]) -> bool:
    """True for a part that is named with what it is of: "a car hood", but not "a passenger seat"."""
    if inner.name == "person" or lexicon.is_kind_of(inner.singular, BUILDINGS):
        return False
    if last_word(noun) in COMPONENTS and (" " in noun and meaning is None or "".join(tags[-1:]).startswith("NN")):
        return True
    return " " in noun and kind in (Kind.UNSEEN, Kind.PART)


def _is_activity(parsed: Parsed, head: Token, start: int) -> bool:
    """True for the rock of "is rock climbing"."""
    following = _beside(head, 1)
    previous = _beside(head, -1)
    is_bare = start == head.i and previous is not None and previous.pos_ in ("AUX", "VERB")
    return is_bare and following is not None and _is_doing(parsed, following)
