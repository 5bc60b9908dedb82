"""Which things a parsed prompt names: its noun phrases become groups, or stand for groups that are there already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.absent import negation_start
from agent.planners.english.asides import is_maker, is_other_words, is_where, likenesses_of, look_like, set_where
from agent.planners.english.links import phrases_of, place_on_picture
from agent.planners.english.mentions import Kind, Mention, mentions_of
from agent.planners.english.parser import Parsed
from agent.planners.english.parts import Comparison, Dropped, Group, Reading
from agent.planners.english.referring import earlier_group, groups_meant, looks_after, split
from agent.planners.english.rewriting import QUOTE, Rewritten
from agent.planners.english.wholes import fill, place_part, stands_for
from instdiff.world import lexicon, nouns

if TYPE_CHECKING:
    from spacy.tokens import Token

UNSAID = 3  # how many things a bare plural stands for
LONGEST_CATEGORY = 60  # letters
LONGEST_WRITTEN = 30  # letters of what leads to a quote: "with the words"


class Naming:
    """The groups of a text, and which of them each token stands for.

    ``of`` maps tokens to indices of groups; ``standing_for`` a token to the one that says what it is ("a row of
    trees"); ``extras`` a token to what follows it in the caption; ``negated`` are the words that say what is absent.
    """

    def __init__(self, parsed: Parsed, rewritten: Rewritten):
        self.parsed = parsed
        self.rewritten = rewritten
        self.reading = Reading()
        self.mentions = mentions_of(parsed)
        self.phrases = list(phrases_of(parsed))
        for phrase in self.phrases:
            place = place_on_picture(parsed, phrase) if phrase.sort == "relation" else None
            for at in range(phrase.start, place[1] if place else phrase.end) if phrase.sort != "made" else ():
                self.mentions.pop(at, None)
        self.of: dict[int, tuple[int, ...]] = {}
        self.standing_for: dict[int, int] = {}
        self.extras: dict[int, str] = {}
        self.likeness = likenesses_of(self)
        self.negated: list[str] = []
        self.quotes = list(rewritten.quotes)
        self.each: tuple[int, ...] = ()
        self.pronouns: dict[int, tuple[int, ...]] = {}
        self.first_setting: Mention | None = None
        self.sentences = {token.i: n for n, sentence in enumerate(parsed.doc.sents) for token in sentence}

    def name_all(self) -> None:
        """Name what every token stands for."""
        phrased = {i for phrase in self.phrases for i in range(phrase.start, phrase.end)}
        for token in self.parsed.doc:
            is_pronoun = token.pos_ == "PRON" and token.tag_ in w.PRONOUN_TAGS or token.lower_ in ("both", "each")
            if token.i in phrased:
                continue
            if token.lower_ in ("nobody", "no-one", "none"):
                self._note_absent(token, "person", token.i, token.i + 1)
            elif token.i in self.mentions:
                self._name(token, self.mentions[token.i])
            elif is_pronoun and token.lower_ not in w.SPEAKERS:
                self.of[token.i] = groups_meant(self, token)
                if token.lower_ == "each":
                    self.each = self.of[token.i]
                if token.lower_ in ("both", "all"):
                    self._look(self.of[token.i], looks_after(self, token.i)[0])
            else:
                split(self, token)
        for at, other in self.standing_for.items():
            self.of[at] = self.of.get(other, ())
        self._describe()

    def groups(self, *tokens: Token) -> tuple[int, ...]:
        """The groups that tokens stand for."""
        return tuple(dict.fromkeys(group for token in tokens for group in self.of.get(token.i, ())))

    def named_before(self, token: Token) -> list[int]:
        """The tokens of its sentence before a token that stand for groups, in their order."""
        here = self.sentences.get(token.i)
        return [i for i in sorted(self.of) if i < token.i and self.of[i] and self.sentences.get(i) == here]

    def drop(self, mention: Mention, reason: str) -> None:
        """Leave a mention to the caption."""
        self.reading.dropped.append(Dropped(self.parsed.words(mention.start, mention.at + 1), reason))

    def _name(self, token: Token, mention: Mention) -> None:
        """What one noun phrase means."""
        if token.i in self.likeness:
            look_like(self, mention, self.likeness[token.i])
            self.drop(mention, "says how another thing looks")
        elif (other := stands_for(self, token, mention)) is not None:
            self.standing_for[token.i] = other
        elif (start := negation_start(self, token, mention)) is not None:
            self._note_absent(token, mention.category if mention.is_known else mention.noun, start, mention.at + 1)
        elif token.text == QUOTE and self.quotes:
            self._quote(token)
        elif mention.kind is Kind.META:
            self.reading.asks_for_picture = True
        elif is_other_words(self, token, mention):
            self.drop(mention, "says what another thing is")
        elif mention.kind is Kind.SETTING and is_where(self, token, mention):
            set_where(self, token, mention)
        elif mention.kind is Kind.PART:
            place_part(self, token, mention)
        elif is_maker(self, token, mention):
            self.drop(mention, Kind.NAME.value)
        elif mention.kind in (Kind.UNSEEN, Kind.NAME):
            self.drop(mention, mention.kind.value)
        elif mention.count == 0 and self.parsed.names[mention.start] in ("zero", "0"):
            self._note_absent(token, mention.category, mention.start, mention.at + 1)
        else:
            self.of[token.i] = self.name_things(token, mention)

    def _note_absent(self, token: Token, name: str, start: int, end: int) -> None:
        self.of[token.i] = ()
        self.reading.absent.append(name)
        self.negated.append(self.parsed.words(start, end))

    def _quote(self, token: Token) -> None:
        """Quoted words stay with what they are written on."""
        words = self.quotes.pop(0)
        hosts = [i for i in self.of if i < token.i and self.of[i]]
        if hosts:
            between = self.parsed.words(max(hosts) + 1, token.i).strip(" ,")
            group = self.reading.groups[self.of[max(hosts)][-1]]
            group.add_extra(f'{between if len(between) < LONGEST_WRITTEN else "with"} "{words}"')
        self.reading.dropped.append(Dropped(f'"{words}"', "is written, and stays in the caption"))

    def name_things(self, token: Token, mention: Mention) -> tuple[int, ...]:
        """The groups that name a thing: one that is there already, or new ones."""
        if (same := earlier_group(self, token, mention)) is not None:
            return (same,)
        if mention.noun == "glass" and self._collective(token)[0] == "pair":
            mention = replace(mention, noun="eyeglasses", category="eyeglasses")
        count, is_vague = self._count(token, mention)
        shares = by_colour(mention, count, is_vague)
        named = [self.add(mention, share, looks, is_vague) for looks, share in shares]
        fill(self, token, mention, named[0])
        return tuple(named)

    def _count(self, token: Token, mention: Mention) -> tuple[int, bool]:
        """How many things a mention names, and whether that is a guess."""
        collective, times = self._collective(token)
        is_one = bool({mention.noun, f"{mention.noun}s", mention.category} & w.ONE_PAIR)
        count = mention.count or (1 if mention.determiner == "a" else 0)
        is_vague = mention.vague and not (mention.determiner == "a" and count == 1)
        if collective == "pair" and is_one:
            return times, False
        if collective:
            own = count or nouns.COLLECTIVES.get(collective, 1)
            return own * (times if collective in ("pair", "dozen") else 1), is_vague and collective not in w.EXACT
        if not count:
            is_vague = mention.plural and not is_one
            count = (2 if mention.noun in w.COUPLES else UNSAID) if is_vague else 1
        if self.each and mention.determiner in ("a", "number"):
            count *= sum(map(self.reading.total, self.each))
        return count, is_vague

    def _collective(self, token: Token) -> tuple[str, int]:
        """ "flock" and 1 for the geese of "a flock of geese"; empty and 1 elsewhere."""
        head = self.mentions.get(token.head.head.i)
        if token.dep_ == "pobj" and token.head.lower_ == "of" and head is not None:
            word = nouns.singular_of(self.parsed.names[head.at])
            if word in nouns.COLLECTIVES or word in nouns.KINDS or word in nouns.PORTIONS:
                return word, max(head.count, 1)
        return "", 1

    def add(self, mention: Mention, count: int, looks: tuple[str, ...], is_vague: bool = False) -> int:
        """Add a group; its index."""
        token = self.parsed.doc[mention.at]
        portion, _ = self._collective(token)
        if portion in nouns.PORTIONS:
            looks = (*self.mentions[token.head.head.i].adjectives, portion, "of", *looks)
        group = Group(
            noun=mention.noun,
            category=mention.category[:LONGEST_CATEGORY],
            count=count,
            adjectives=looks,
            extra=self.extras.pop(mention.at, ""),
            is_known=mention.is_known or lexicon.stand_in(mention.noun) is not None,
            is_vague=is_vague,
            is_plural=mention.plural,
            sentence=self.sentences.get(mention.at, 0),
        )
        self.reading.groups.append(group)
        return len(self.reading.groups) - 1

    def _look(self, indices: tuple[int, ...], looks: list[str]) -> None:
        for index in indices:
            for part in (index, *self.reading.groups[index].parts):
                self.reading.groups[part].add_looks(looks)

    def _describe(self) -> None:
        """Looks that a sentence says of its subject: "the plate is blue"."""
        for token in self.parsed.doc:
            subjects = [child for child in token.head.lefts if child.dep_ in ("nsubj", "nsubjpass")]
            if token.dep_ in ("acomp", "oprd") and token.pos_ == "ADJ" and subjects:
                mention = self.mentions.get(subjects[-1].i)
                joined = (child for child in token.subtree if child.dep_ == "conj" and child.pos_ == "ADJ")
                looks = [self.parsed.names[word.i] for word in (token, *joined)]
                if mention is None or mention.kind is not Kind.PART:
                    self._look(self.groups(subjects[-1]), [look for look in looks if look in w.ADJECTIVES])

    def finish(self) -> None:
        """What is left when everything is related: comparisons of number, empty places, what is wanted after all."""
        reading = self.reading
        for first, sign, second in self.rewritten.compared:
            target = self._group_called(second)
            index = self._group_called(first)
            if index is None and not first and target:
                index = target - 1
            if index is not None and target is not None and index != target:
                reading.compared.append(Comparison(index, sign, target))
        if w.EMPTY & set(reading.setting_adjectives):
            reading.absent += ["person", "car"] if reading.setting in ("street", "city", "parking lot") else ["person"]
        names = self.parsed.names
        reading.is_complete = "only" in names or "just" in names or "nothing else" in " ".join(names)
        wanted = {group.category for group in reading.groups}
        reading.absent = [name for name in dict.fromkeys(reading.absent) if name not in wanted]

    def _group_called(self, name: str) -> int | None:
        noun = nouns.resolve(name) if name else None
        groups = enumerate(self.reading.groups)
        return next((i for i, group in groups if noun and noun.name in (group.category, group.noun)), None)


def by_colour(mention: Mention, count: int, is_vague: bool) -> list[tuple[tuple[str, ...], int]]:
    """ "Red and blue balloons" are some of each colour; "a black and white cat" is one. As (adjectives, count)."""
    colours = [word for word in mention.adjectives if word in w.COLOURS]
    if not mention.plural or not 2 <= len(colours) <= count or set(colours) == {"black", "white"}:
        return [(mention.adjectives, count)]
    others = tuple(word for word in mention.adjectives if word not in (*colours, "and", ",", "or"))
    count = max(count, 2 * len(colours)) if is_vague else count
    shares = [count // len(colours) + (k < count % len(colours)) for k in range(len(colours))]
    return [((colour, *others), share) for colour, share in zip(colours, shares, strict=True)]
