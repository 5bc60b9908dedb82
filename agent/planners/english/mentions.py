"""The noun phrases of a parsed text: what each names, how many, how they look, and whether a picture can show it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.parser import Parsed, is_noun, is_only_verb, is_verb, lemma_of
from instdiff.world import knowledge, lexicon, nouns

if TYPE_CHECKING:
    from spacy.tokens import Token

PHYSICAL = (
    w.COLOURS
    | w.MATERIALS
    | frozenset(w.SIZES)
    | frozenset(
        """round square oval rectangular triangular circular conical cubic cubical spherical cylindrical pentagonal hexagonal
    pyramidal octagonal teardrop oblong heart-shaped star-shaped curved pointed angular jagged bumpy striped spotted
    fluffy furry shiny smooth rough""".split()
    )
)
NO_HEADS = frozenset(("ones", "other", "others", "both", "nobody", "no-one", "nothing"))
PLANETS = frozenset("moon mars venus saturn jupiter mercury neptune uranus earth planet".split())
LIVING = frozenset(("person", "animal", "dragon", "robot", "monster"))
PLURALS = frozenset(
    "scissors glasses sunglasses pants jeans shorts trousers headphones binoculars skis goggles".split()
)
BOUND = frozenset(
    "covered bound shaped filled made lined coated dipped topped colored coloured based themed framed".split()
)
COMPONENTS = w.PARTS - w.DETACHED | frozenset(
    ("engine", "mirror", "keyboard", "tire", "tyre", "motor", "seat", "monitor", "sill")
)
SEEN_PLACES = frozenset(
    ("waterfall", "fish tank", "aquarium", "fruit bowl", "fruit stand", "circus tent", "greenhouse")
)
SHADES = frozenset("deep light dark bright pale".split())
SHAPES = frozenset("square circle triangle rectangle diamond star heart hexagon pentagon oval cross".split())
LOW = ("det", "nummod", "amod", "compound", "nmod", "poss", "advmod", "quantmod", "predet", "npadvmod", "punct", "cc")
INSIDE = ("in", "at", "on", "through", "across", "into", "inside", "along", "within", "from", "around", "to", "down", "up",
          "over", "throughout", "during", "outside", "onto", "toward", "towards", "under")  # fmt: skip


class Kind(Enum):
    """What a noun phrase is to the picture."""

    THING = "a thing"
    SETTING = "where it all is"
    UNSEEN = "nothing that can be drawn by itself"
    META = "the picture itself"
    PART = "a part of something"
    NAME = "the name of a place, a time or an artist"


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
    found = {}
    for token in parsed.doc:
        if _is_head(parsed, token):
            found[token.i] = _mention(parsed, token)
    return found


def _is_head(parsed: Parsed, token: Token) -> bool:
    """True for a noun that is no part of another noun's phrase."""
    name = parsed.names[token.i]
    if name == "another":
        return token.dep_ in ("dobj", "dative") and token.head.pos_ in ("VERB", "ADJ")
    if token.pos_ == "PRON":
        return name in w.PERSONS and name not in ("one", "other")
    if not any(map(str.isalnum, name)) or token.text.isdigit() or name in nouns.NUMBERS or name in NO_HEADS:
        return False
    following = token.doc[token.i + 1] if token.i + 1 < len(token.doc) else None
    if following is not None:
        if name.endswith("ing") and following.pos_ == "DET" or following.text in "-–" and not token.whitespace_:
            return False  # "building a tower", "diamond-shaped"
        if (
            name in w.COLOURS | w.MATERIALS
            and (
                lexicon.lexeme(nouns.singular_of(parsed.names[following.i]))
                or lexicon.lexeme(parsed.names[following.i])
                or nouns.known(parsed.names[following.i])
                or nouns.known(nouns.singular_of(parsed.names[following.i]))
            )
            and following.pos_ != "ADP"
        ):
            return False
    if not is_noun(token) and not _is_noun_after_all(parsed, token):
        return False
    return not _is_doing(parsed, token) and not _is_modifier(parsed, token)


def _is_doing(parsed: Parsed, token: Token) -> bool:
    """True for the "standing" of "a cricketer standing", which some take for the noun."""
    name = parsed.names[token.i]
    if not name.endswith("ing") or nouns.known(name) or len(name) < 6 or name in w.META:
        return False
    living = (
        token.i > 0
        and is_noun(token.doc[token.i - 1])
        and lexicon.is_kind_of(nouns.singular_of(parsed.names[token.i - 1]), LIVING)
    )
    if living and is_verb(name) and token.i + 1 < len(token.doc):
        return True
    if token.dep_ in ("compound", "amod") and token.head.i > token.i:
        return False
    entry = lexicon.lexeme(name)
    doing = entry is None or entry.seen < lexicon.LEAST_SEEN or w.is_doing(name)
    after_noun = token.i > 0 and is_noun(parsed.doc[token.i - 1]) and token.dep_ != "compound"
    return doing and (after_noun or entry is None and all(child.dep_ != "det" for child in token.children))


def _is_noun_after_all(parsed: Parsed, token: Token) -> bool:
    """True for a known thing that was taken for a verb or an adjective, though an article or number leads to it."""
    name = parsed.names[token.i]
    noun = nouns.known(name)
    before = token.doc[token.i - 1] if token.i else None
    if noun is None and before is not None and before.tag_ == "CD" and token.pos_ == "VERB" and not is_verb(name):
        return True  # "two chemtrails"
    if noun is None or token.pos_ in ("DET", "ADP", "NUM", "AUX"):
        return False
    if " " in name:
        return True
    following = token.nbor() if token.i + 1 < len(token.doc) else None
    if following is not None and (
        is_noun(following) or following.pos_ in ("ADJ", "NUM") and following.head.i > following.i
    ):
        return False
    if name in w.COLOURS and name != "orange":
        return False
    if before is not None and before.tag_ == "CC" and token.dep_ == "conj" and is_noun(token.head):
        return True
    led = before is not None and (
        before.pos_ in ("DET", "NUM", "ADJ")
        or before.pos_ == "ADP"
        and noun.plural
        or parsed.names[before.i] in w.COLOURS | w.MATERIALS
        or before.tag_ == "PRP$"
        or before.text.isdigit()
    )
    return led or token.i == 0 and following is None


def _is_modifier(parsed: Parsed, token: Token) -> bool:
    head = token.head
    if token.dep_ not in ("compound", "nmod", "amod", "npadvmod", "quantmod", "nummod") or head.i <= token.i:
        return False
    if head.tag_ == "JJR":  # "a lemon smaller than a grape"
        return False
    between = token.doc[token.i + 1 : head.i]
    led = (
        any(child.dep_ in ("det", "nummod") for child in token.lefts)
        or token.i
        and token.doc[token.i - 1].tag_ in ("DT", "CD")
    )
    if (
        led
        and between
        and between[0].tag_ in ("VBN", "VBD")
        and between[0].lower_ not in BOUND
        and nouns.known(parsed.names[token.i])
    ):
        return False
    if _is_doing(parsed, head) or any(t.tag_ == "VBG" and t.dep_ == "amod" and t.i == token.i + 1 for t in between):
        return False
    if any(
        t.dep_ == "det" or t.tag_ in ("CC", ",", "IN", "VBZ", "VBD", "WDT") and not _joins_looks(parsed, t)
        for t in between
    ):
        return False
    if any(t.dep_ == "nummod" for t in token.lefts) and token.dep_ == "nmod":
        return False
    return (
        is_noun(head) or head.pos_ in ("ADJ", "X", "NUM") and token.dep_ != "nmod" or _is_noun_after_all(parsed, head)
    )


def _joins_looks(parsed: Parsed, token: Token) -> bool:
    """True for the "and" of "blue and white vase", the comma of "soft, warm fur"."""
    return all(
        0 <= i < len(token.doc)
        and parsed.names[i] not in w.SIDES
        and (token.doc[i].pos_ == "ADJ" or parsed.names[i] in w.ADJECTIVES or token.doc[i].tag_ in ("VBG", "VBN"))
        for i in (token.i - 1, token.i + 1)
    )


def _mention(parsed: Parsed, head: Token) -> Mention:
    start = _start(parsed, head)
    owner = start - 2 if start > 1 and parsed.doc[start - 1].tag_ == "POS" else -1
    pieces = _pieces(parsed, start, head.i)
    determiner, count, vague, looks = _determine([word for word, _ in pieces])
    tags = [tag for _, tag in pieces][len(pieces) - len(looks) :]
    head_word = parsed.names[head.i]
    noun, plural, meaning, looks = _named(head, head_word, looks, tags)
    of_so_many = _number_of(parsed, head)
    if head_word in nouns.PEOPLE_COLLECTIVES and (of_so_many or not looks_like_group_of(head)):
        count = of_so_many or count
        count = count if count > 1 else nouns.PEOPLE_COLLECTIVES[head_word]
        vague = head_word not in ("couple", "duo", "trio", "quartet")
        plural, noun, meaning = True, "person", knowledge.things()["person"]
    category = meaning.name if isinstance(meaning, knowledge.Thing) else noun
    is_known = isinstance(meaning, knowledge.Thing)
    if not is_known and (noun in w.PERSONS or lexicon.is_kind_of(noun, frozenset(("person",)))) and not meaning:
        category, is_known = "person", True
    kind = _kind(parsed, head, noun, meaning, tuple(looks), determiner)
    inner = _inner_thing([*looks, *noun.split()[:-1]])
    if (
        inner
        and noun.endswith("keyboard")
        and "laptop" not in looks + noun.split()
        or inner
        and inner.name == "person"
        and noun.endswith("seat")
    ):
        inner = None
    misread = is_only_verb(head_word) or determiner == "a" and head.tag_ == "NNS" and not count
    last = noun.rpartition(" ")[2]
    is_part = (
        " " in noun
        and kind in (Kind.UNSEEN, Kind.PART)
        or (
            last in COMPONENTS
            and (meaning is None and " " in noun or noun == last and bool(tags) and tags[-1].startswith("NN"))
        )
    )
    shown = (
        inner is not None
        and last in w.BAKED
        and inner.name in (w.HYPERNYMS["animal"] | w.HYPERNYMS["vehicle"]) - w.EATEN
    )
    if inner and (last in w.MODELS or shown):  # "an elephant toy"
        category = inner.name
        if " " not in noun and inner.singular in looks:
            looks = looks[: looks.index(inner.singular)]
            noun = f"{inner.singular} {noun}"
    elif inner and (misread and head_word not in PLURALS or is_part):
        noun, meaning, kind, plural = inner.singular, inner.thing, Kind.THING, inner.plural
        category, is_known = inner.name, True
        looks = looks[: looks.index(noun)] if noun in looks else looks
    elif is_only_verb(head_word) and meaning is None:
        kind = Kind.UNSEEN
    elif _is_activity(parsed, head, start):
        kind = Kind.UNSEEN
    if kind is Kind.SETTING:
        category = meaning.name if meaning else noun
    if determiner == "own":
        owner = next((t.i for t in parsed.doc[start : head.i] if t.tag_ == "PRP$"), owner)
    if noun == "person" and head_word in nouns.PEOPLE_COLLECTIVES:
        looks = [] if head_word != "person" else looks
    return Mention(head.i, start, noun, category, kind, determiner, count, plural, vague, tuple(looks), is_known, owner)


def _is_activity(parsed: Parsed, head: Token, start: int) -> bool:
    """True for the rock of "is rock climbing"."""
    following = parsed.doc[head.i + 1] if head.i + 1 < len(parsed.doc) else None
    before = parsed.doc[start - 1] if start else None
    doing = following is not None and _is_doing(parsed, following)
    return doing and start == head.i and before is not None and before.pos_ in ("AUX", "VERB")


def _inner_thing(words: list[str]) -> nouns.Noun | None:
    """The bear of "a bear birthday party", the car of "a car hood": a thing before a head that is none."""
    words = [word for word in words if word not in w.COLOURS and word not in w.MATERIALS] or words[-1:]
    found = [entry for word in reversed(words) if (entry := nouns.known(word)) and entry.thing]
    return found[0] if found else None


def _number_of(parsed: Parsed, head: Token) -> int:
    """4 for "a family of four", 0 elsewhere."""
    last = [t for prep in head.children if prep.lower_ == "of" for t in prep.children if t.pos_ == "NUM"]
    return nouns.NUMBERS.get(parsed.names[last[0].i], 0) if last else 0


def looks_like_group_of(head: Token) -> bool:
    """True for "a group of dogs": what the group is made of follows."""
    return any(child.lower_ == "of" and any(t.dep_ == "pobj" for t in child.children) for child in head.children)


def _start(parsed: Parsed, head: Token) -> int:
    """The first token of the phrase that the head ends."""
    start = head.i
    doc = parsed.doc
    while start > 0:
        token = doc[start - 1]
        ours = (
            head.is_ancestor(token)
            or token.tag_ in ("CD", "DT")
            and start == head.i
            or start == head.i
            and parsed.names[token.i] in w.MATERIALS
            or token.dep_ in ("det", "nummod", "amod", "compound")
            and token.head.i >= start - 1
        )
        if not ours or token.pos_ in ("ADP", "AUX", "SCONJ", "INTJ") or token.tag_ == "POS":
            break
        if token.pos_ == "PRON" and token.tag_ != "PRP$":
            break
        if token.pos_ == "VERB" and token.dep_ not in ("amod", "compound", "nmod", "conj", "advcl", "ccomp"):
            break
        if (
            token.tag_ in ("VBG", "VBN", "VBD")
            and start - 1 > 0
            and is_noun(doc[start - 2])
            and not _is_modifier(parsed, doc[start - 2])
            and token.dep_ == "amod"
        ):
            break
        if token.pos_ == "VERB" and token.tag_ not in ("VBG", "VBN", "VBD", "JJ"):
            break
        if _is_head(parsed, token) or _is_doing(parsed, token):
            break
        if token.text in (",", "and", "or", "&") and not _joins_looks(parsed, token):
            break
        if token.pos_ == "PUNCT" and token.text not in (",", "-", "–", '"', "'", "“", "”"):
            break
        start -= 1
    return start


def _pieces(parsed: Parsed, start: int, end: int) -> list[tuple[str, str]]:
    """The words from one token up to another with their tags, those written together joined: "black-tipped"."""
    pieces: list[tuple[str, str]] = []
    for i in range(start, end):
        token = parsed.doc[i]
        joined = i > start and parsed.spans[i][0] == parsed.spans[i - 1][1] and pieces
        if token.text in ('"', "“", "”") or (
            token.pos_ == "ADV"
            and parsed.names[i] not in nouns.NUMBERS
            and not joined
            and parsed.names[i] not in w.ADJECTIVES
            and i + 1 < end
        ):
            continue
        if joined and (token.text in "-–" or pieces[-1][0].endswith("-")):
            pieces[-1] = (pieces[-1][0] + parsed.names[i], token.tag_)
        else:
            pieces.append((parsed.names[i], token.tag_))
    if pieces and pieces[-1][0].endswith("-"):
        pieces[-1] = (pieces[-1][0][:-1], pieces[-1][1])
    return pieces


def _determine(found: list[str]) -> tuple[str, int, bool, list[str]]:
    """Determiner, count (0 where none is said), whether that is a guess, and the words after them."""
    determiner = ""
    count = 0
    vague = True
    at = 0
    while at < len(found):
        length = next(
            (n for n in range(min(4, len(found) - at), 0, -1) if " ".join(found[at : at + n]) in nouns.NUMBERS), 0
        )
        phrase = " ".join(found[at : at + length])
        if (
            phrase in ("single", "lone", "solitary", "different", "various", "assorted", "twin", "multiple")
            and at + 1 < len(found) + 1
        ):
            count, vague = (nouns.NUMBERS[phrase], phrase not in ("single", "lone", "solitary", "twin"))
            if phrase == "twin":
                break
        elif length:
            count = nouns.NUMBERS[phrase]
            vague = phrase in nouns.VAGUE or phrase in ("a few", "few", "some", "several")
            determiner = "number"
        elif found[at].isdecimal():
            count, vague, determiner = int(found[at][:4]), False, "number"
        elif found[at] in nouns.OWN:
            determiner = "own"
        elif found[at] in nouns.DEFINITE:
            determiner = "the"
        elif found[at] in ("each", "every"):
            determiner = "each"
        elif found[at] == "no":
            determiner = "no"
        elif found[at] in nouns.INDEFINITE:
            determiner = "a"
        elif found[at] == "both":
            determiner, count, vague = "the", 2, False
        elif found[at] not in (
            "all",
            "any",
            "only",
            "just",
            "exactly",
            "about",
            "around",
            "nearly",
            "almost",
            "least",
            "at",
            "of",
            "over",
            "than",
            "more",
            "what",
            "such",
            "other",
            "some",
        ):
            break
        at += max(length, 1)
    return determiner, min(count, 1000), vague, found[at:]


def _named(
    head: Token, word: str, looks: list[str], tags: list[str]
) -> tuple[str, bool, knowledge.Thing | knowledge.Setting | None, list[str]]:
    """The noun in the singular, if that was a plural, what is known of it, and the words before it."""
    for length in range(min(len(looks), nouns.LONGEST_NAME - 1), -1, -1):
        before = looks[len(looks) - length :]
        if length and any(piece in w.COLOURS for piece in before[:1]):
            continue
        noun = nouns.known(" ".join((*before, word)))
        if noun and not (length and "," in before):
            plural = noun.plural or head.tag_ in ("NNS", "NNPS") and word == nouns.plural_of(noun.singular)
            return noun.singular, plural, noun.meaning, looks[: len(looks) - length]
    plural = head.tag_ in ("NNS", "NNPS") or (
        head.tag_ == "NN"
        and word.endswith("s")
        and lexicon.lexeme(word) is None
        and lexicon.lexeme(nouns.singular_of(word)) is not None
    )
    singular = nouns.singular_of(word) if plural else word
    own = len(looks)
    while own and tags[own - 1].startswith("NN") and looks[own - 1] not in w.ADJECTIVES | PHYSICAL | SHAPES:
        own -= 1
    return " ".join((*looks[own:], singular)), plural, None, looks[:own]


def governor(token: Token) -> str:
    """The preposition that a noun phrase hangs from, in lower case; empty where there is none."""
    head = token.head
    while token.dep_ in ("conj", "appos") and head != token:
        token, head = head, head.head
    if token.dep_ == "dobj" and head.dep_ == "pcomp":  # "with alternating red stripes"
        return head.head.lower_
    if head.lower_ == "to" and head.head.lower_ in ("next", "close", "adjacent", "near", "left", "right"):
        return "next"
    return head.lower_ if token.dep_ == "pobj" and head.dep_ != "agent" else ""


def _kind(parsed: Parsed, head: Token, noun: str, meaning: object, looks: tuple[str, ...], determiner: str) -> Kind:
    last = noun.rpartition(" ")[2]
    prep = governor(head)
    if last in w.MONTHS_AND_DAYS and head.pos_ == "PROPN":
        return Kind.NAME
    if (parsed.names[head.i] in w.META or last in w.META) and _is_frame(parsed, head, last, determiner):
        return Kind.META
    if isinstance(meaning, knowledge.Setting):
        return _kind_of_place(head, noun, meaning.name, prep, determiner, looks)
    if prep == "on" and last in PLANETS and not looks:
        return Kind.NAME
    if noun in w.COLOURS and (prep in ("to", "from", "in", "into") and not determiner or set(looks) & SHADES):
        return Kind.UNSEEN
    if last in w.PARTS and _is_part(head, last, prep, determiner):
        return Kind.PART
    if last in w.ROOMS and determiner == "the" and not looks and (head.dep_ == "dobj" or prep in INSIDE):
        return Kind.SETTING
    if last in w.INNER_PARTS and any(look in w.LEVELS for look in looks):
        return Kind.PART
    if isinstance(meaning, knowledge.Thing):
        return Kind.THING
    entry = lexicon.lexeme(last)
    if entry and entry.kind == "body" and last not in lexicon.VISIBLE:
        return Kind.PART
    is_solid = any(look in PHYSICAL for look in looks)
    if last == "wall" and prep == "on" and lemma_of(head.head.head) in ("stand", "sit", "perch", "walk", "climb"):
        return Kind.THING
    is_named = head.pos_ == "PROPN" and head.text[:1].isupper() and bool(looks)
    if last in w.SCENERY and not is_named and not (is_solid and _stands_alone(head, last, prep, determiner)):
        return Kind.UNSEEN
    if head.pos_ == "PROPN" and head.text[:1].isupper() and not looks and _names_no_thing(head, prep):
        return Kind.NAME
    if prep == "by" and entry is None and head.head.head.tag_ not in ("VBN",):
        return Kind.NAME
    if last in w.LOCATIONS and prep in INSIDE:
        return Kind.SETTING
    if last in w.PERSONS:
        return Kind.THING
    if (
        entry
        and entry.kind in ("location", "time")
        and not is_solid
        and (prep in INSIDE or entry.seen < 0.2)
        and last not in lexicon.VISIBLE
    ):
        return Kind.UNSEEN
    if prep == "in" and noun == "sun":
        return Kind.UNSEEN
    is_seen = lexicon.can_be_seen(noun) or is_solid and last not in lexicon.INVISIBLE
    return Kind.THING if is_seen else Kind.UNSEEN


def _stands_alone(head: Token, last: str, prep: str, determiner: str) -> bool:
    """True where the words make a thing of a floor or a wall: "a metallic watch and a wooden floor"."""
    if last == "wall":
        return True
    covers = head.dep_ == "nsubj" and lemma_of(head.head) in w.COVER
    return covers or not prep and determiner in ("a", "number") and head.dep_ in ("ROOT", "conj", "attr")


def _is_part(head: Token, last: str, prep: str, determiner: str) -> bool:
    """True where the word for a part means one: "with white doors", "its doors", "the doors of the car"."""
    if prep == "with" or determiner == "own" or _belongs(head):
        return True
    return last in w.PLACED_PARTS and determiner == "the" and prep in INSIDE


def _names_no_thing(head: Token, prep: str) -> bool:
    """True for "in Berlin", "by Monet", "the skyline of Paris"; not for "a photo of the Kremlin"."""
    if prep == "of":
        return head.head.head.lower_ not in w.META
    return prep in ("in", "at", "on", "by", "from", "during", "through", "across", "throughout")


def _belongs(head: Token) -> bool:
    """True for "the wings of the butterfly", "the butterfly's wings"."""
    return any(child.lower_ == "of" for child in head.children) or any(
        child.dep_ == "poss" or child.tag_ == "POS" for child in head.children
    )


def _kind_of_place(head: Token, noun: str, name: str, prep: str, determiner: str, looks: tuple[str, ...]) -> Kind:
    """A kind of place is where everything is, or a thing to stand next to; a square may be a shape."""
    if noun in SHAPES and not (determiner == "the" and prep in ("in", "on", "at", "across")):
        return Kind.THING
    acts = head.dep_ == "nsubj" and head.head.pos_ == "VERB" and not prep
    if (
        acts
        and noun in w.NATURE
        or head.dep_ == "nsubj"
        and lemma_of(head.head) in w.COVER
        and any(look in PHYSICAL for look in looks)
    ):
        return Kind.THING
    if name in w.TIMES:
        return Kind.SETTING
    of = [child for child in head.children if child.lower_ == "of"]
    if prep == "of" and head.head.head.lower_ not in w.SIDE_WORDS:
        return Kind.SETTING
    if prep and prep not in INSIDE or noun == "bar" and of:
        return Kind.THING
    return Kind.THING if noun in SEEN_PLACES and not prep else Kind.SETTING


def _is_frame(parsed: Parsed, head: Token, last: str, determiner: str) -> bool:
    """True where the word for a picture means the picture that is asked for, not one that hangs in it."""
    children = {child.lower_ for child in head.children}
    later = any(
        token.lower_ in ("showing", "depicting", "featuring", "with")
        or token.lower_ == "of"
        and token.doc[token.i - 1].lower_
        not in ("front", "top", "left", "right", "side", "bottom", "back", "middle", "out", "inside")
        for token in parsed.doc[head.i + 1 :]
    )
    of = bool(children & {"of", "showing", "depicting", "featuring"})
    prep = governor(head)
    if prep in ("in", "into") and (not of or determiner == "the"):
        return last not in w.FRAMED or determiner in ("", "the")
    root = (
        head.dep_ in ("ROOT", "dobj")
        and all(
            token.pos_
            in (
                "DET",
                "ADJ",
                "NOUN",
                "PROPN",
                "PRON",
                "VERB",
                "AUX",
                "PART",
                "INTJ",
                "PUNCT",
                "NUM",
                "ADV",
                "X",
                "CCONJ",
            )
            for token in parsed.doc[: head.i]
        )
        and head.sent.start == 0
    )
    first = not any(is_noun(token) for token in parsed.doc[: head.left_edge.i])
    if first and (of or root and later and not children & {"on", "above", "next", "under", "behind", "near"}):
        return True
    if first and head.dep_ in ("nsubj", "nsubjpass"):
        return lemma_of(head.head) in ("show", "depict", "feature", "contain", "have", "include") and last not in (
            "poster",
            "canvas",
        )
    loose = head.dep_ in ("appos", "conj", "npadvmod", "ROOT", "dep", "attr", "nmod") and determiner in ("", "a")
    style = any(parsed.names[i] in w.STYLE or parsed.names[i] in w.META for i in range(head.left_edge.i, head.i))
    at_end = not any(is_noun(token) for token in parsed.doc[head.i + 1 :])
    if loose and head.i and at_end and (style or determiner == "") and not of:
        return True
    return (
        first
        and last not in w.FRAMED
        and not children & {"on", "above", "next", "under", "behind", "near"}
        and head.dep_ == "ROOT"
    )
