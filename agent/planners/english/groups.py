"""Which things a parsed prompt names: its noun phrases become groups, or stand for groups that are there already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.links import Phrase, objects_of, phrases_of, place_on_picture
from agent.planners.english.mentions import COMPONENTS, Kind, Mention, governor, mentions_of
from agent.planners.english.parser import Parsed, lemma_of
from agent.planners.english.parts import Comparison, Dropped, Group, Reading
from agent.planners.english.referring import group_named, groups_meant, restated, split_off
from agent.planners.english.rewriting import QUOTE, Rewritten
from instdiff.world import knowledge, lexicon, nouns
from instdiff.world.predicates import Predicate

if TYPE_CHECKING:
    from spacy.tokens import Token

UNSAID = 3  # how many things a bare plural stands for
ONE_PAIR = frozenset("""
    scissors eyeglasses sunglasses trousers jeans pants shorts headphones binoculars pliers tweezers pajamas goggles tongs
""".split())  # fmt: skip
WITHOUT = frozenset("without excluding except lacking minus sans".split())
REMOVED = frozenset("include add show draw put want avoid omit exclude lack need see have contain".split())


class Naming:
    """The groups of a text, and which of them each token stands for.

    ``of`` maps tokens to indices of groups; ``negated`` are the words that say what is absent.
    """

    def __init__(self, parsed: Parsed, rewritten: Rewritten):
        self.parsed = parsed
        self.rewritten = rewritten
        self.reading = Reading()
        self.mentions = mentions_of(parsed)
        self.phrases = list(phrases_of(parsed))
        for phrase in self.phrases:
            if phrase.sort == "relation" and (place := place_on_picture(parsed, phrase)):
                phrase = phrase._replace(end=place[1])
            for at in range(phrase.start, phrase.end) if phrase.sort != "made" else ():
                self.mentions.pop(at, None)
        self.of: dict[int, tuple[int, ...]] = {}
        self.standing_for: dict[int, int] = {}  # a token that means what another one names: "a row of trees"
        self.likeness: dict[int, Phrase] = {}  # tokens that only say how something looks, and the phrase that says so
        self.negated: list[str] = []
        self.quotes = list(rewritten.quotes)
        self.each: tuple[int, ...] = ()
        self.pronouns: dict[int, tuple[int, ...]] = {}
        self.sentences = {token.i: n for n, sentence in enumerate(parsed.doc.sents) for token in sentence}
        self._find_likenesses()

    def name_all(self) -> None:
        """Name what every token stands for."""
        phrased = {i for phrase in self.phrases for i in range(phrase.start, phrase.end)}
        for token in self.parsed.doc:
            if token.i in phrased:
                continue
            if token.lower_ in ("nobody", "no-one", "none"):
                self._absent(token, "person", token.i, token.i + 1)
            elif token.i in self.mentions:
                self._name(token, self.mentions[token.i])
            elif (
                (token.pos_ == "PRON" or token.lower_ in ("both", "each"))
                and token.lower_ not in w.SPEAKERS
                and token.tag_ in ("PRP", "WP", "WDT", "DT", "PRP$", "NN", "PDT", "CC")
            ):
                self.of[token.i] = groups_meant(self, token)
                if token.lower_ == "each":
                    self.each = self.of[token.i]
                if token.lower_ in ("both", "all"):
                    self._look(self.of[token.i], self._looks_after(token.i)[0])
            else:
                self._split(token)
        for token, other in self.standing_for.items():
            self.of[token] = self.of.get(other, ())
        self._describe()

    def groups(self, *tokens: Token) -> tuple[int, ...]:
        """The groups that tokens stand for."""
        return tuple(dict.fromkeys(group for token in tokens for group in self.of.get(token.i, ())))

    def drop(self, mention: Mention, reason: str) -> None:
        """Leave a mention to the caption."""
        words = self.parsed.words(mention.start, mention.at + 1)
        self.reading.dropped.append(Dropped(words, reason))

    def _find_likenesses(self) -> None:
        """What "in the shape of a star", "made of brick" lead to."""
        for phrase in self.phrases:
            if phrase.sort == "made" or phrase.sort == "reversed" and phrase.words == "dressed as":
                found = objects_of(self.parsed, phrase)
                for token in found:
                    between = {t.text for t in self.parsed.doc[found[0].i : token.i]}
                    if not between & {":", ";", ","}:
                        self.likeness[token.i] = phrase
        for token in self.parsed.doc:
            head = token.head.head
            if token.dep_ == "pobj" and token.head.lower_ == "of" and self.parsed.names[head.i] in w.LIKENESSES:
                if (
                    head.dep_ == "pobj"
                    and head.head.lower_ in ("in", "with")
                    and head.head.i
                    and head.head.head.i < head.head.i
                ):
                    phrase = Phrase(head.head.i, token.head.i + 1, "", "made")
                    self.likeness[token.i] = self.likeness[head.i] = phrase

    def _name(self, token: Token, mention: Mention) -> None:
        """What one noun phrase means."""
        if token.i in self.likeness:
            self._look_like(token, mention)
        elif self._is_negated(token, mention):
            pass
        elif token.text == QUOTE and self.quotes:
            self._quote(token, mention)
        elif (of := self._of_what(token, mention)) is not None:
            self.standing_for[token.i] = of
        elif mention.kind is Kind.META:
            self.reading.asks_for_picture = True
        elif self._is_predicate(token, mention):
            self.drop(mention, "says what another thing is")
        elif mention.kind is Kind.SETTING and self._is_where(token, mention):
            self._set(mention)
        elif mention.kind is Kind.PART:
            self._part(token, mention)
        elif self._is_maker(token) or self._is_manner(token, mention):
            self.drop(mention, Kind.NAME.value)
        elif mention.kind in (Kind.UNSEEN, Kind.NAME):
            self.drop(mention, mention.kind.value)
        elif mention.count == 0 and self.parsed.names[mention.start] in ("zero", "0"):
            self._absent(token, mention.category, mention.start, mention.at + 1)
        else:
            self.of[token.i] = self._things(token, mention)

    def _look_like(self, token: Token, mention: Mention) -> None:
        phrase = self.likeness[token.i]
        head = self.parsed.doc[phrase.start].head
        while head.pos_ in ("VERB", "AUX", "ADP", "ADJ") and head.head != head:
            head = head.head
        words = self.parsed.words(phrase.start, mention.at + 1)
        for group in self.groups(head)[-1:] or ([len(self.reading.groups) - 1] if self.reading.groups else []):
            extra = self.reading.groups[group].extra
            if phrase.words == "shaped like" and not self.reading.groups[group].is_known and mention.is_known:
                self.reading.groups[group].category = mention.category  # "a vehicle shaped like a train"
            extra = extra if not words.startswith(extra) else ""
            if words not in extra:
                self.reading.groups[group].extra = f"{extra} {words}".strip()
        self.drop(mention, "says how another thing looks")

    def _quote(self, token: Token, mention: Mention) -> None:
        """Quoted words stay with what they are written on."""
        words = self.quotes.pop(0)
        hosts = [i for i in self.of if i < token.i and self.of[i]]
        if hosts:
            host = max(hosts)
            between = self.parsed.words(host + 1, token.i).strip(" ,")
            extra = f'{between if len(between) < 30 else "with"} "{words}"'
            group = self.reading.groups[self.of[host][-1]]
            group.extra = f"{group.extra} {extra}".strip()
        self.reading.dropped.append(Dropped(f'"{words}"', "is written, and stays in the caption"))

    def _is_negated(self, token: Token, mention: Mention) -> bool:
        """True, and noted, where the words say that the thing is absent."""
        start = self._negation_start(token, mention)
        if start is None:
            return False
        end = mention.at + 1
        self._absent(token, mention.category if mention.is_known else mention.noun, start, end)
        return True

    def _negation_start(self, token: Token, mention: Mention) -> int | None:
        """The token that a negation begins with, or None."""
        if mention.determiner == "no":
            return self._with_before(mention.start)
        first = token
        while first.dep_ in ("conj", "appos") and first.head.i in self.mentions and first.head.i < first.i:
            between = self._words_before(self.mentions[first.i].start)
            joined = bool(between & {"or", "nor", "and", ","})
            if (
                not joined
                or mention.determiner in ("a", "number", "the")
                and first == token
                and not between & {"or", "nor"}
            ):
                break
            first = first.head
        if first != token and (
            self.mentions[first.i].determiner == "no" or self._negation_start(first, self.mentions[first.i]) is not None
        ):
            return self._with_before(mention.start)
        said = {t.lower_ for t in self.parsed.doc[: token.i]}
        if (
            first.dep_ == "pobj"
            and first.head.lower_ in ("except", "but")
            and said & {"nothing", "empty", "none", "nobody"}
        ):
            return None
        if first.dep_ == "pobj" and (first.head.lower_ in WITHOUT or self._is_free_of(first.head)):
            return first.head.i if first == token else self._with_before(mention.start)
        verb = first.head if first.dep_ in ("dobj", "attr", "nsubj", "nsubjpass") else None
        if first.dep_ == "pobj" and first.head.head.pos_ in ("VERB", "AUX") and lemma_of(first.head.head) != "be":
            verb = None
        if verb is not None and (
            any(child.dep_ == "neg" for child in verb.children) or lemma_of(verb) in ("avoid", "omit", "exclude", "lack")
        ):
            if lemma_of(verb) in REMOVED | {"be"}:
                return min(t.i for t in (verb, *verb.children) if t.dep_ in ("neg", "aux") or t == verb)
        if first.dep_ in ("dobj", "conj", "pobj", "ROOT", "appos", "attr", "npadvmod", "dep"):
            before = self.parsed.doc[max(mention.start - 2, 0) : mention.start]
            if any(
                t.lower_ in ("not", "neither", "nor", "excluding", "except", "without", "never") for t in before[-1:]
            ):
                return before[-1].i
            if " ".join(t.lower_ for t in before) in (
                "except for",
                "free of",
                "free from",
                "devoid of",
                "instead of",
                "rather than",
                "apart from",
            ):
                return before[0].i
        return None

    def _words_before(self, start: int) -> set[str]:
        """The words between the phrase before and this one."""
        ends = [m.at for m in self.mentions.values() if m.at < start]
        return set(self.parsed.names[max(ends, default=-1) + 1 : start])

    def _is_free_of(self, prep: Token) -> bool:
        before = self.parsed.doc[max(prep.i - 1, 0)].lower_
        return f"{before} {prep.lower_}" in (
            "free of",
            "free from",
            "devoid of",
            "empty of",
            "clear of",
            "except for",
            "instead of",
            "apart from",
        )

    def _with_before(self, start: int) -> int:
        while start > 0 and self.parsed.names[start - 1] in (
            "with",
            "and",
            "but",
            ",",
            "there",
            "is",
            "are",
            "has",
            "have",
            "or",
            "no",
            "any",
        ):
            start -= 1
        return start

    def _absent(self, token: Token, name: str, start: int, end: int) -> None:
        self.of[token.i] = ()
        if name not in self.reading.absent:
            self.reading.absent.append(name)
        self.negated.append(self.parsed.words(start, end))

    def _of_what(self, token: Token, mention: Mention) -> int | None:
        """The head of the phrase that this one stands for: "a flock of geese", "the scent of lavender"; or None."""
        for prep in token.children:
            if prep.lower_ != "of" or prep.i < token.i:
                continue
            target = next((child for child in prep.children if child.dep_ == "pobj" and child.i in self.mentions), None)
            if target is None:
                continue
            other = self.mentions[target.i]
            word = nouns.singular_of(self.parsed.names[token.i])
            if word in w.META and token.dep_ == "dobj":
                return None
            if word in nouns.COLLECTIVES or word in nouns.KINDS or word in nouns.PORTIONS and other.kind is Kind.THING:
                return target.i
            alone = token.dep_ == "ROOT" or governor(token) == "of" and not any(self.of.values())
            if mention.kind is Kind.PART and (mention.noun in w.DETACHED or alone):
                return None
            if mention.kind in (Kind.PART, Kind.UNSEEN) and other.kind in (Kind.THING, Kind.PART, Kind.UNSEEN):
                if mention.kind is Kind.PART and mention.adjectives:
                    self.later_extra = (target.i, mention)
                if mention.kind is Kind.UNSEEN:
                    self.drop(mention, mention.kind.value)
                return target.i
        return None

    def _is_predicate(self, token: Token, mention: Mention) -> bool:
        """True for "sights" in "the bridge and the tower were the sights", for an aside in other words."""
        if token.dep_ == "attr":
            subjects = [child for child in token.head.children if child.dep_ == "nsubj"]
            return any(self.groups(child) and child.i in self.mentions for child in subjects)
        if mention.kind is Kind.THING and self._is_figurative(token):
            return True
        made = token.dep_ == "dobj" and lemma_of(token.head) in ("create", "produce", "form", "make")
        if mention.noun in ("artwork", "masterpiece") and (made or token.dep_ == "appos"):
            return True
        if (
            token.dep_ == "dobj"
            and lemma_of(token.head) in ("take", "shoot", "snap")
            and self.parsed.names[token.i].rstrip("s") in w.META
        ):
            return True
        if token.dep_ == "appos" and token.head.i in self.mentions:
            head = self.mentions[token.head.i]
            own = self.mentions[token.i]
            commas = [t for t in self.parsed.doc[token.head.i : token.i] if t.text == ","]
            kinds = frozenset((own.noun.rpartition(" ")[2],))
            is_kind = own.kind is Kind.THING and head.noun != own.noun and lexicon.is_kind_of(head.noun, kinds)
            return (
                bool(commas)
                and own.determiner in ("a", "the")
                and own.count <= 1
                and bool(self.groups(token.head))
                and is_kind
            )
        return False

    def _is_figurative(self, token: Token) -> bool:
        """True for "a canvas of endless variation" that is said of another thing."""
        of = [t for prep in token.children if prep.lower_ == "of" for t in prep.children if t.i in self.mentions]
        unseen = any(self.mentions[t.i].kind is Kind.UNSEEN for t in of)
        aside = token.i > 0 and any(
            self.parsed.names[i] == "," for i in (token.left_edge.i - 1, token.left_edge.i) if i >= 0
        )
        if unseen and aside and token.dep_ in ("npadvmod", "appos", "conj", "dep", "attr") and any(self.of.values()):
            return True
        becomes = (
            token.dep_ == "pobj"
            and token.head.lower_ in ("into", "as")
            and lemma_of(token.head.head) in ("transform", "turn", "make", "serve")
        )
        return unseen and (
            becomes or token.dep_ == "appos" and any(self.groups(t) for t in (token.head, token.head.head))
        )

    def _is_manner(self, token: Token, mention: Mention) -> bool:
        """True for the conductor of "a train conductor's hat", which only says what kind of hat it is."""
        head = self.mentions.get(token.head.i)
        of_thing = head is not None and head.kind is Kind.THING and head.noun.rpartition(" ")[2] not in COMPONENTS
        return token.dep_ == "poss" and mention.determiner == "a" and of_thing

    def _is_maker(self, token: Token) -> bool:
        """True for who made what is seen: "a landscape painted by an artist using oil"."""
        if token.dep_ == "dobj" and token.head.lower_ == "using" and lexicon.lexeme(self.parsed.names[token.i]) is None:
            return not nouns.known(self.parsed.names[token.i])
        made = (
            "paint",
            "draw",
            "imagine",
            "design",
            "create",
            "make",
            "write",
            "direct",
            "sculpt",
            "photograph",
            "build",
        )
        return token.dep_ == "pobj" and token.head.dep_ == "agent" and lemma_of(token.head.head) in made

    def _is_where(self, token: Token, mention: Mention) -> bool:
        """True if the name of a place is where all is, and no object of its own ("a park with a pond")."""
        if mention.count > 1 or mention.plural and token.dep_ != "pobj":
            return False
        if token.dep_ == "pobj" and token.head.lower_ == "with":
            return False
        if token.dep_ == "conj" and self.reading.groups and mention.determiner == "a":
            return not any(self.groups(token.head))
        taken = self.reading.setting not in ("", *w.TIMES)
        return not (taken and mention.determiner in ("a", "number") and token.dep_ in ("attr", "dobj", "conj", "nsubj"))

    def _set(self, mention: Mention) -> None:
        """The setting; the first that says where goes before one that says when."""
        reading = self.reading
        known = knowledge.settings().get(mention.category)
        if known is None:
            self.drop(mention, "is where it all is")
            return
        is_inner = (
            reading.setting_is_subject and not reading.groups and mention.category not in (reading.setting, *w.TIMES)
        )
        if is_inner and governor(self.parsed.doc[mention.at]) and self.first_setting is not None:
            outer = self.first_setting  # "a church in a village": the church is an object
            self.of[outer.at] = (self._add(outer, outer.count or 1, outer.adjectives, category=outer.noun),)
            reading.setting, reading.setting_is_subject, reading.setting_adjectives = "", False, ()
        if not reading.setting or (reading.setting in w.TIMES and mention.category not in w.TIMES):
            token = self.parsed.doc[mention.at]
            acting = (
                token.dep_ in ("nsubj", "dobj", "nsubjpass")
                and token.head.pos_ == "VERB"
                and lemma_of(token.head) not in w.ASKING
            )
            alone = not reading.groups and not governor(token) and not acting
            reading.setting_is_subject = alone or self._is_picture_of(token)
            reading.setting = mention.category
            self.first_setting = mention
        if mention.category == reading.setting:
            reading.setting_adjectives += mention.adjectives
        for word in mention.adjectives:  # "a bear birthday party"
            noun = nouns.known(word)
            if noun and noun.thing and word not in w.ADJECTIVES and self.parsed.doc[mention.start].tag_ != "JJ":
                self.of[mention.at] = (
                    self._add(replace(mention, noun=noun.singular, category=noun.name, adjectives=()), 1, ()),
                )

    first_setting: Mention | None = None
    later_extra: tuple[int, Mention] | None = None

    def _is_picture_of(self, token: Token) -> bool:
        """True for "a photo of a kitchen"."""
        head = token.head.head
        return (
            token.dep_ == "pobj"
            and token.head.lower_ in ("of", "from", "inside")
            and head.i in self.mentions
            and self.mentions[head.i].kind is Kind.META
        )

    def _part(self, token: Token, mention: Mention) -> None:
        """A part goes with what it belongs to; its looks go into the caption of that."""
        owners = self._owners(token, mention)
        if mention.noun in w.INNER_PARTS and not owners:
            self.of[token.i] = self._things(token, mention)
            return
        alone = token.dep_ == "ROOT" or governor(token) == "of" and not any(self.of.values())
        if (
            (mention.noun in w.DETACHED or alone and mention.determiner != "own")
            and (not owners or any(c.lower_ == "of" for c in token.children))
            or (not owners and not is_body(mention.noun) and lexicon.can_be_seen(mention.noun))
        ):
            self.of[token.i] = self._things(token, mention)
            return
        self.of[token.i] = owners
        words = " ".join((*mention.adjectives, self.parsed.names[token.i])).replace(" ,", ",")
        if mention.adjectives and owners:
            group = self.reading.groups[owners[-1]]
            if words not in group.extra:
                group.extra = f"{group.extra} {'and' if 'with' in group.extra.split() else 'with'} {words}".strip()
        self.drop(
            mention, "is a part and goes with what it belongs to" if owners else "is a part of nothing that is named"
        )

    def _owners(self, token: Token, mention: Mention) -> tuple[int, ...]:
        """The groups that a part belongs to."""
        if mention.owner >= 0 and self.of.get(mention.owner):
            return self.of[mention.owner]
        if (
            mention.determiner != "own"
            and governor(token) not in ("with", "of")
            and token.dep_ in ("appos", "conj", "ROOT", "dep", "npadvmod")
        ):
            near = [
                i
                for i in self.of
                if i < mention.start and self.of[i] and self.sentences.get(i) == self.sentences.get(token.i)
            ]
            living = [i for i in near if is_alive(self.reading.groups[self.of[i][-1]].category)]
            if living and not (
                token.dep_ == "conj"
                and self.mentions.get(token.head.i)
                and self.mentions[token.head.i].kind is Kind.PART
            ):
                return self.of[max(living)][-1:]
        first = token
        while first.dep_ in ("conj", "appos") and first.head != first and first.head.i < first.i:
            first = first.head
            if self.mentions.get(first.i) and self.mentions[first.i].kind is Kind.PART and self.groups(first):
                return self.groups(first)
        seen = set()
        head = first.head
        while head.i not in seen:
            seen.add(head.i)
            if self.groups(head) and head.i < token.i:
                return self.groups(head)[-1:] if len(self.groups(head)) > 1 else self.groups(head)
            if head.pos_ == "VERB":
                subjects = [
                    child for child in head.children if child.dep_ in ("nsubj", "nsubjpass") and self.groups(child)
                ]
                if subjects and subjects[0].i != token.i:
                    return self.groups(subjects[0])
            head = head.head
        before = [
            i for i in self.of if i < token.i and self.of[i] and self.sentences.get(i) == self.sentences.get(token.i)
        ]
        return self.of[max(before)] if before and governor(token) == "with" else ()

    def _things(self, token: Token, mention: Mention) -> tuple[int, ...]:
        """The groups that name a thing: one that is there already, or new ones."""
        reading = self.reading
        collective, times = self._collective(token)
        if mention.determiner in ("the", "own", "each") and not collective:
            if (same := group_named(reading, mention, token)) is not None:
                return (same,)
        if (same := restated(self, token, mention)) is not None:
            return (same,)
        if (part := split_off(self, token, mention)) is not None:
            return (part,)
        count = mention.count or (1 if mention.determiner == "a" else 0)
        vague = mention.vague or count == 0
        if collective:
            vague = vague and collective not in ("pair", "couple", "duo", "trio", "quartet", "quintet", "dozen")
            own = count or nouns.COLLECTIVES.get(collective, 1)
            is_pair = collective == "pair" and mention.category in ONE_PAIR
            count = max(times, 1) if is_pair else own * (times if collective in ("pair", "dozen") else 1)
        if not count:
            is_one = mention.category in ONE_PAIR or f"{mention.noun}s" in ONE_PAIR
            count = UNSAID if mention.plural and not is_one else 1
            if mention.plural and mention.noun in (
                *w.COUPLES,
                "shoe",
                "boot",
                "glove",
                "sneaker",
                "sandal",
                "mitten",
                "sock",
                "chopstick",
                "earring",
                "slipper",
                "chopstick",
                "chopsticks",
            ):
                count = 2
            vague = mention.plural and not is_one
        if self.each and mention.determiner in ("a", "number") and not collective:
            count *= sum(reading.total(index) for index in self.each)
        named = []
        for looks, share in by_colour(mention, count, vague):
            named.append(self._add(mention, share, looks, vague))
        self._contents(token, mention, named[0])
        return tuple(named)

    def _collective(self, token: Token) -> tuple[str, int]:
        """ "flock" and 1 for the geese of "a flock of geese"; empty and 1 elsewhere."""
        if token.dep_ == "pobj" and token.head.lower_ == "of":
            head = token.head.head
            word = nouns.singular_of(self.parsed.names[head.i])
            if head.i in self.mentions and (word in nouns.COLLECTIVES or word in nouns.KINDS or word in nouns.PORTIONS):
                return word, max(self.mentions[head.i].count, 1)
        return "", 1

    def _add(
        self, mention: Mention, count: int, looks: tuple[str, ...], vague: bool = False, category: str = ""
    ) -> int:
        word, _ = self._collective(self.parsed.doc[mention.at])
        extra_words = ()
        if word in nouns.PORTIONS:
            head = self.mentions[self.parsed.doc[mention.at].head.head.i]
            extra_words = (*head.adjectives, word, "of")
        group = Group(
            mention.noun,
            (category or mention.category)[:60],
            count,
            (*extra_words, *looks),
            is_known=mention.is_known or lexicon.stand_in(mention.noun) is not None,
            is_vague=vague,
            is_plural=mention.plural,
            sentence=self.sentences.get(mention.at, 0),
        )
        self.reading.groups.append(group)
        index = len(self.reading.groups) - 1
        if self.later_extra and self.later_extra[0] == mention.at:
            part = self.later_extra[1]
            group.extra = f"with {' '.join((*part.adjectives, self.parsed.names[part.at]))}".replace(" ,", ",")
            self.later_extra = None
        return index

    def _contents(self, token: Token, mention: Mention, host: int) -> None:
        """What a container holds: things where they can be counted, words in its caption where they cannot."""
        for prep in token.children:
            if prep.lower_ != "of" or prep.i < token.i:
                continue
            for inside in (child for child in prep.children if child.dep_ == "pobj" and child.i in self.mentions):
                other = self.mentions[inside.i]
                holds = (
                    mention.noun.rpartition(" ")[2] in w.CONTAINERS
                    and other.kind is Kind.THING
                    and (other.plural or other.count > 1 or other.determiner == "a")
                )
                if holds:
                    count = other.count or (UNSAID + 1 if other.plural and other.determiner != "a" else 1)
                    index = self._add(other, count, other.adjectives, not other.count)
                    self.of[inside.i] = (index,)
                    self.reading.relate(index, Predicate.IN, host)
                elif mention.noun in w.DETACHED and other.noun in ("tree", "bush"):
                    continue
                else:
                    words = self.parsed.words(prep.i, inside.i + 1)
                    if (mention.noun in w.MODELS or mention.kind is Kind.PART) and other.kind is Kind.THING:
                        self.reading.groups[host].category = other.category
                    self.reading.groups[host].extra = f"{self.reading.groups[host].extra} {words}".strip()
                    self.of[inside.i] = (host,)
                del self.mentions[inside.i]

    def _split(self, token: Token) -> None:
        """ "One black and one white": some of what was named last."""
        names = self.parsed.names
        word = names[token.i]
        is_rest = word in ("other", "others", "another", "rest", "second", "third", "ones")
        number = nouns.NUMBERS.get(word, 0) if token.pos_ in ("NUM", "PRON", "NOUN", "DET", "ADJ") else 0
        if not (number or is_rest) or any(m.start <= token.i <= m.at for m in self.mentions.values()):
            return
        looks, of_them = self._looks_after(token.i)
        looks = looks or [names[child.i] for child in token.lefts if names[child.i] in w.ADJECTIVES]
        parts = {part for group in self.reading.groups for part in group.parts}
        many = [
            i for i, g in enumerate(self.reading.groups) if i not in parts and self.reading.total(i) > 1 and g.count
        ]
        if of_them and not looks and number > 1:
            self._recount(token, number, many)
            return
        if (
            word == "one"
            and looks
            and any(child.lower_ in ("a", "an") for child in token.lefts)
            and self.reading.groups
        ):
            self.reading.groups.append(
                replace(self.reading.groups[-1], count=1, adjectives=tuple(looks), parts=[], extra="")
            )
            self.of[token.i] = (len(self.reading.groups) - 1,)
            return
        if not many or (not looks and not is_rest and word != "one" and not of_them):
            if word in ("one", "another", "other") and self.reading.groups:
                self.of[token.i] = (len(self.reading.groups) - 1,)
            return
        following = names[token.i + 1] if token.i + 1 < len(names) else ""
        if is_rest and word != "another" and (following in nouns.NUMBERS or following in ("one", "ones")):
            return  # "the other three are brown": the number goes on
        whole = self.reading.groups[many[-1]]
        count = min(number or (whole.count if word in ("others", "rest", "ones") else 1), whole.count)
        if not looks and count == whole.count:
            self.of[token.i] = (many[-1],)
            return
        whole.count -= count
        self.reading.groups.append(replace(whole, count=count, adjectives=(*looks, *whole.adjectives), parts=[]))
        whole.parts.append(len(self.reading.groups) - 1)
        self.of[token.i] = (len(self.reading.groups) - 1,)

    def _looks_after(self, at: int) -> tuple[list[str], bool]:
        """The looks that follow a word like "one" or "both of them", and whether "of them" does."""
        names = self.parsed.names
        looks: list[str] = []
        of_them = False
        at += 1
        while at < len(names):
            if names[at] in w.ADJECTIVES:
                looks.append(names[at])
            elif (
                names[at] == "of"
                and at + 1 < len(names)
                and names[at + 1] in ("them", "which", "these", "those", "whom")
            ):
                of_them = True
                at += 1
            elif names[at] == "and":
                if not looks or at + 1 == len(names) or names[at + 1] not in w.ADJECTIVES:
                    break
            elif names[at] not in ("is", "are", "in", "one", "ones", "with", "very", "being"):
                break
            at += 1
        return looks, of_them

    def _recount(self, token: Token, number: int, many: list[int]) -> None:
        """ "Pumpkins; there are a dozen of them", or "the two of them": so many of what was named."""
        for index in reversed(many):
            group = self.reading.groups[index]
            if group.is_vague and not group.parts:
                group.count, group.is_vague = number, False
                self.of[token.i] = (index,)
                return
        before = range(max(len(self.reading.groups) - number, 0), len(self.reading.groups))
        self.of[token.i] = tuple(before)

    def _look(self, indices: tuple[int, ...], looks: list[str]) -> None:
        for index in indices:
            for part in (index, *self.reading.groups[index].parts):
                group = self.reading.groups[part]
                group.adjectives = (*(look for look in looks if look not in group.adjectives), *group.adjectives)

    def _describe(self) -> None:
        """Looks that a sentence says of its subject: "the plate is blue"."""
        for token in self.parsed.doc:
            if token.dep_ not in ("acomp", "oprd") or token.pos_ != "ADJ":
                continue
            subjects = [child for child in token.head.lefts if child.dep_ in ("nsubj", "nsubjpass")]
            if not subjects:
                continue
            subject = subjects[-1]
            words = [token, *(child for child in token.subtree if child.dep_ == "conj" and child.pos_ == "ADJ")]
            looks = [self.parsed.names[word.i] for word in words if self.parsed.names[word.i] in w.ADJECTIVES]
            is_part = subject.i in self.mentions and self.mentions[subject.i].kind is Kind.PART
            self._look(self.groups(subject) if not is_part else (), looks)

    def finish(self) -> None:
        """What is left when everything is related: comparisons of number, empty places, what is wanted after all."""
        reading = self.reading
        for first, sign, second in self.rewritten.compared:
            a, b = (self._group_called(name) for name in (first, second))
            if b is not None and a is None and not first:
                a = b - 1 if b else None
            if a is not None and b is not None and a != b:
                reading.compared.append(Comparison(a, sign, b))
        if w.EMPTY & set(reading.setting_adjectives):
            reading.absent += ["person", "car"] if reading.setting in ("street", "city", "parking lot") else ["person"]
        words = f" {' '.join(self.parsed.names)} "
        reading.is_complete = "nothing else" in words or " only " in words or " just " in words
        wanted = {group.category for group in reading.groups}
        reading.absent = [name for name in dict.fromkeys(reading.absent) if name not in wanted]

    def _group_called(self, name: str) -> int | None:
        noun = nouns.resolve(name) if name else None
        if noun is None:
            return None
        return next(
            (i for i, group in enumerate(self.reading.groups) if noun.name in (group.category, group.noun)), None
        )


def is_alive(category: str) -> bool:
    """True for persons, animals, and what acts like one: a robot."""
    return category in w.LIVING or lexicon.is_kind_of(category, frozenset(("animal", "person")))


def is_body(noun: str) -> bool:
    """True for a part of a body."""
    entry = lexicon.lexeme(noun.rpartition(" ")[2])
    return entry is not None and entry.kind == "body"


def by_colour(mention: Mention, count: int, vague: bool) -> list[tuple[tuple[str, ...], int]]:
    """ "Red and blue balloons" are some of each colour; "a black and white cat" is one. As (adjectives, count)."""
    colours = [word for word in mention.adjectives if word in w.COLOURS]
    lists = any(word in mention.adjectives for word in ("and", ",", "or"))
    if (
        not mention.plural
        or not lists
        or len(colours) < 2
        or set(colours) == {"black", "white"}
        or count < len(colours)
    ):
        return [(mention.adjectives, count)]
    others = tuple(word for word in mention.adjectives if word not in (*colours, "and", ",", "or"))
    count = max(count, 2 * len(colours)) if vague else count
    shares = [count // len(colours) + (k < count % len(colours)) for k in range(len(colours))]
    return [((colour, *others), share) for colour, share in zip(colours, shares, strict=True)]
