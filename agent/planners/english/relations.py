"""How the things of a prompt lie to each other: what its prepositions and verbs say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.groups import CONTAINERS, Naming
from agent.planners.english.groups import is_alive as is_living
from agent.planners.english.links import (
    Phrase,
    anchor_of,
    clause_verb,
    conjuncts,
    objects_of,
    place_on_picture,
    subject_of,
)
from agent.planners.english.mentions import Kind
from agent.planners.english.parser import is_noun, lemma_of
from instdiff.world import knowledge, lexicon
from instdiff.world.predicates import Predicate

if TYPE_CHECKING:
    from spacy.tokens import Token

HANDY_M = 0.6  # the longest side of what a person "on" it holds: a phone, a laptop
HELD_M = 1.8  # ... of what is held because the words say so: an umbrella, a surfboard
DIRECTED = frozenset("into onto off out from to over through in on under behind above below beside".split())
LIKE_ON = frozenset("bed chair couch armchair bench sofa stool throne hammock swing seat mattress rug".split())
WITH = frozenset(("with", "featuring", "including", "containing", "along with", "together with"))


class Relating:
    """Adds to a reading what its phrases and verbs say of the groups that `Naming` found."""

    def __init__(self, naming: Naming):
        self.naming = naming
        self.parsed = naming.parsed
        self.reading = naming.reading
        self.depths: list[tuple[int, Predicate]] = []

    def relate_all(self) -> None:
        """Read every phrase, "with" and verb."""
        until = -1
        for phrase in self.naming.phrases:
            if phrase.start < until:
                continue
            if phrase.sort == "relation" and (place := place_on_picture(self.parsed, phrase)):
                places, until = place
                for group in self._placed(phrase, until):
                    self.reading.places += [(group, side) for side in places]
            else:
                self._phrase(phrase)
        for token in self.parsed.doc:
            if (
                token.lower_ in WITH
                and token.pos_ in ("ADP", "SCONJ", "VERB")
                and token.i not in self._inside_phrases()
            ):
                self._with(token)
            elif token.pos_ in ("VERB", "AUX"):
                self._verb(token)
        self._finish_depths()

    def _inside_phrases(self) -> set[int]:
        return {
            i for phrase in self.naming.phrases for i in range(phrase.start, phrase.end) if phrase.sort != "relation"
        }

    def _groups(self, tokens: list[Token]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(group for token in tokens for group in self.naming.groups(token)))

    # phrases

    def _phrase(self, phrase: Phrase) -> None:
        if phrase.sort == "made" or any(i in self.naming.likeness for i in range(phrase.start, phrase.end + 1)):
            return
        if phrase.sort in ("mutual", "row"):
            self._row(phrase)
            return
        if phrase.sort == "order":
            self._order(phrase)
            return
        tokens = self._objects(phrase)
        if phrase.sort == "relation" and self._depth(phrase, tokens):
            return
        objects = self._groups(tokens)
        if not objects:
            return
        subjects = tuple(i for i in self._subjects(phrase, tokens) if i not in objects)
        if phrase.sort == "between":
            self._between(phrase, subjects, objects)
        elif phrase.sort in ("around", "surrounded"):
            for subject in subjects:
                for target in objects:
                    pair = (subject, target) if phrase.sort == "around" else (target, subject)
                    self._around(*pair)
        elif phrase.sort == "reversed":
            predicate = w.REVERSED[phrase.words]
            for subject in subjects[-1:]:
                for target in objects:
                    self.reading.relate(target, predicate, subject)
        elif phrase.sort == "compared":
            for subject in subjects:
                for target in objects:
                    self.reading.relate(subject, w.COMPARED[phrase.words], target)
        else:
            self._relation(phrase, subjects, objects)

    def _objects(self, phrase: Phrase) -> list[Token]:
        """What a phrase leads to, without what a list goes on with and is told of anew: "... and a dog under it"."""
        first, *others = objects_of(self.parsed, phrase) or [None]
        if first is None:
            return []
        starts = {other.start for other in self.naming.phrases if other.start > phrase.start}
        if first.i in self.naming.mentions and not self.naming.groups(first):
            return [first]
        told = [t for t in others if t.i + 1 in starts or any(child.dep_ in ("acl", "relcl") for child in t.rights)]
        several = len(others) > 1 or first.tag_ in ("NNS", "PRP") or phrase.sort != "between"
        end = min((t.i for t in told), default=len(self.parsed.names)) if several else len(self.parsed.names)
        return [first, *(t for t in others if t.i < end)]

    def _relation(self, phrase: Phrase, subjects: tuple[int, ...], objects: tuple[int, ...]) -> None:
        predicate = w.RELATIONS[phrase.words]
        verb = self._verb_of(phrase)
        within = any(self._is_inner(token) for token in self._objects(phrase))
        for subject in subjects:
            for target in objects:
                pictured = self.reading.groups[target].noun.rpartition(" ")[2] in w.FLAT and phrase.words == "on"
                pronoun = any(token.pos_ == "PRON" for token in self._objects(phrase))
                on_wall = self.reading.groups[target].category == "wall" and (
                    verb is None or lemma_of(verb) not in w.STANDING
                )
                if predicate is Predicate.ON and (within or pictured and pronoun or on_wall):
                    self.reading.relate(subject, Predicate.IN, target)
                    continue
                if phrase.words == "in" and self._wears(subject, target):
                    self.reading.relate(target, Predicate.WORN_BY, subject)
                elif self._is_handled(predicate, verb, subject, target):
                    self.reading.relate(target, Predicate.HELD_BY, subject)
                elif (
                    phrase.words in w.WEAK
                    and (verb is None or lemma_of(verb) not in w.PUT)
                    and phrase.words in ("for", "about", "after", "before", "via", "of")
                ):
                    continue
                elif predicate is Predicate.IN and self.reading.groups[target].category in LIKE_ON:
                    self.reading.relate(subject, Predicate.ON, target)
                else:
                    self.reading.relate(subject, predicate, target)
                    if phrase.words in w.ON_TOP:
                        self.reading.relate(subject, Predicate.ABOVE, target)

    def _is_inner(self, token: Token) -> bool:
        """True for "the top shelf" of a fridge."""
        mention = self.naming.mentions.get(token.i)
        return mention is not None and mention.kind is Kind.PART and mention.noun in w.INNER_PARTS

    def _wears(self, subject: int, target: int) -> bool:
        groups = self.reading.groups
        return groups[target].noun.rpartition(" ")[2] in w.CLOTHES and is_living(groups[subject].category)

    def _is_handled(self, predicate: Predicate, verb: Token | None, subject: int, target: int) -> bool:
        """True for "a man talking on a phone": he uses what is too small to be on."""
        groups = self.reading.groups
        if predicate not in (Predicate.ON, Predicate.IN) or groups[subject].category != "person":
            return False
        if verb is None or lemma_of(verb) in w.STANDING and lemma_of(verb) not in ("rest", "place", "put", "lay"):
            return False
        if not groups[target].is_known:
            return lemma_of(verb) in w.HOLD
        return longest_m(groups[target].category, groups[target].noun) < HANDY_M

    def _verb_of(self, phrase: Phrase) -> Token | None:
        """The verb that a phrase hangs from."""
        anchor = anchor_of(self.parsed, phrase)
        while anchor is not None and is_noun(anchor) and anchor.head != anchor and anchor.dep_ in ("dobj", "pobj"):
            anchor = anchor.head if anchor.dep_ == "dobj" else anchor.head.head
        return anchor if anchor is not None and anchor.pos_ == "VERB" else None

    def _around(self, subject: int, target: int) -> None:
        self.reading.flanks.append((subject, target))

    def _between(self, phrase: Phrase, subjects: tuple[int, ...], objects: tuple[int, ...]) -> None:
        several = len(objects) > 1 or any(self.reading.total(i) > 1 for i in objects)
        if not several and (other := self._and_after(phrase)) is not None and other not in subjects:
            objects, several = (*objects, other), True
        for subject in subjects:
            if several:
                self.reading.between.append((subject, objects))
            elif phrase.words.endswith("of"):
                self.reading.relate(
                    subject,
                    Predicate.IN if is_container(self.reading.groups[objects[0]].noun) else Predicate.ON,
                    objects[0],
                )
            else:
                self.reading.relate(subject, Predicate.NEXT_TO, objects[0])

    def _and_after(self, phrase: Phrase) -> int | None:
        """The tree of "in the middle of a sofa and a tree", where the parser bound it to something else."""
        mentions = sorted((m for m in self.naming.mentions.values() if m.at >= phrase.end), key=lambda m: m.at)
        if len(mentions) > 1 and self.parsed.names[mentions[0].at + 1 : mentions[1].start] == ["and"]:
            found = self.naming.of.get(mentions[1].at, ())
            return found[0] if found else None
        return None

    def _row(self, phrase: Phrase) -> None:
        """ "Side by side", "in a row": each thing beside the next."""
        anchor = anchor_of(self.parsed, phrase)
        groups = self._of_anchor(anchor, phrase)
        if phrase.words == "together" and (len(groups) < 2 and sum(self.reading.total(i) for i in groups) < 2):
            return
        if sum(self.reading.total(i) for i in groups) > 1:
            self.reading.rows.append((groups, Predicate.NEXT_TO))

    def _order(self, phrase: Phrase) -> None:
        """ "From left to right: a cat, a dog and a bird"."""
        order = tuple(range(len(self.reading.groups)))
        predicate = w.ROWS[phrase.words]
        for a, b in zip(order, order[1:], strict=False):
            self.reading.relate(a, predicate, b)

    def _depth(self, phrase: Phrase, tokens: list[Token]) -> bool:
        """ "In the background": behind everything else."""
        for token in tokens[:1]:
            predicate = w.DEPTHS.get(self.parsed.names[token.i])
            owned = token.i in self.naming.mentions and self.naming.mentions[token.i].determiner == "own"
            if (
                predicate
                and not owned
                and phrase.words in ("in", "at", "on", "from")
                and not any(c.lower_ == "of" for c in token.children)
            ):
                self.depths += [(group, predicate) for group in self._subjects(phrase, tokens)]
                return True
        return False

    def _finish_depths(self) -> None:
        deep = {group for group, _ in self.depths}
        main = next((i for i in range(len(self.reading.groups)) if i not in deep), None)
        for group, predicate in self.depths:
            if main is not None:
                self.reading.relate(group, predicate, main)

    # what a phrase speaks of

    def _placed(self, phrase: Phrase, until: int) -> tuple[int, ...]:
        """The groups that are on the left: before the phrase, or after it ("on the left, a dog")."""
        anchor = anchor_of(self.parsed, phrase)
        begins = phrase.start == self.parsed.doc[phrase.start].sent.start or self.parsed.names[phrase.start - 1] in (
            ",",
            ";",
            "and",
        )
        following = [i for i in self.naming.of if i >= until and self.naming.of[i]]
        comma = until < len(self.parsed.names) and self.parsed.names[until] in (
            ",",
            ":",
            "is",
            "are",
            "stands",
            "sits",
            "there",
        )
        if (
            begins
            and comma
            and following
            and not (
                anchor is not None
                and is_noun(anchor)
                and anchor.i < phrase.start
                and not phrase.start == self.parsed.doc[phrase.start].sent.start
            )
        ):
            return self.naming.of[min(following)]
        beside = self._just_before(phrase)
        if beside is not None and (anchor is None or is_noun(anchor)):
            anchor = beside
        return self._of_anchor(anchor, phrase)

    def _subjects(self, phrase: Phrase, objects: list[Token]) -> tuple[int, ...]:
        """The groups that stand in a relation to the objects of a phrase."""
        anchor = anchor_of(self.parsed, phrase)
        if anchor is not None and anchor.i in {token.i for token in objects}:
            anchor = None
        named = set(self._groups(objects))
        if (inverted := self._after(phrase, objects)) is not None:
            return self.naming.groups(inverted)
        beside = self._just_before(phrase)
        if (
            beside is not None
            and (anchor is None or is_noun(anchor) or beside.dep_ == "conj")
            and not set(self.naming.groups(beside)) & named
        ):
            anchor = beside
        if anchor is not None and anchor.dep_ == "pobj" and anchor.head.lower_ == "of" and is_noun(anchor.head.head):
            if self.naming.groups(anchor) == self.naming.groups(anchor.head.head):
                anchor = anchor.head.head  # "a glass of water on it": the glass is
        own = self._of_anchor(anchor, phrase)
        if not own or set(own) <= named:
            own = self._nearest_before(phrase, named)
        if anchor is not None and is_noun(anchor) and self._may_be_list(anchor, objects):
            own = (*self._list_before(anchor, phrase), *own)
        if phrase.words in ("under", "beneath", "underneath", "below"):
            own = (*self._who_is_on(anchor), *own)
        return tuple(dict.fromkeys(own))

    def _after(self, phrase: Phrase, objects: list[Token]) -> Token | None:
        """The book of "and to the right of it a book"."""
        doc = self.parsed.doc
        begins = phrase.start == 0 or doc[phrase.start - 1].lower_ in (",", "and", ";", ":", ".", "while")
        if not begins or not objects:
            return None
        at = objects[0].i + 1
        at += at < len(doc) and doc[at].text == "," and phrase.start == doc[phrase.start].sent.start
        while at < len(doc) and doc[at].pos_ in ("VERB", "AUX"):
            at += 1
        mention = next((m for m in self.naming.mentions.values() if m.start == at), None)
        if mention is None or mention.determiner not in ("a", "number") or not self.naming.of.get(mention.at):
            return None
        return doc[mention.at]

    def _may_be_list(self, anchor: Token, objects: list[Token]) -> bool:
        """False for "a house and a dog next to it": only the dog is; true for "with a clock and a glass on it"."""
        if not any(token.pos_ == "PRON" for token in objects):
            return True
        while anchor.dep_ == "conj":
            if "with" in self._words_between(anchor.head, anchor):
                return True
            anchor = anchor.head
        return anchor.dep_ == "pobj" and anchor.head.lower_ == "with"

    def _just_before(self, phrase: Phrase) -> Token | None:
        """The thing that ends right before a phrase, unless it is worn or a part: that goes with another."""
        at = phrase.start - 1
        mention = self.naming.mentions.get(at)
        if mention is None or mention.kind is not Kind.THING or not self.naming.of.get(at):
            return None
        token = self.parsed.doc[at]
        if token.dep_ == "pobj" and token.head.lower_ == "between":
            return None
        is_worn = mention.noun in w.CLOTHES and (token.head.lower_ == "in" or lemma_of(token.head) in w.WEAR)
        return None if is_worn else token

    def _who_is_on(self, anchor: Token | None) -> tuple[int, ...]:
        """The cat of "a cat lying on a table under an umbrella"."""
        if (
            anchor is None
            or anchor.dep_ != "pobj"
            or anchor.head.lower_ not in ("on", "in")
            or anchor.head.head.pos_ != "VERB"
        ):
            return ()
        subject = subject_of(anchor.head.head)
        return self.naming.groups(subject) if subject is not None else ()

    def _of_anchor(self, anchor: Token | None, phrase: Phrase) -> tuple[int, ...]:
        anchor = self._wearer(anchor)
        seen = set()
        while anchor is not None and anchor.i not in seen:
            seen.add(anchor.i)
            if anchor.pos_ in ("VERB", "AUX"):
                found = self._of_verb(anchor, phrase)
                if found:
                    return found
            elif found := self.naming.groups(anchor):
                return found
            if anchor.head == anchor:
                break
            anchor = anchor.head
            while anchor.pos_ not in ("NOUN", "PROPN", "PRON", "VERB", "AUX") and anchor.head != anchor:
                anchor = anchor.head
        return ()

    def _wearer(self, token: Token | None) -> Token | None:
        """The man of "a man in a suit", where the words go on with what he does."""
        mention = self.naming.mentions.get(token.i) if token is not None else None
        if token is None or mention is None or mention.noun.rpartition(" ")[2] not in w.CLOTHES:
            return token
        worn = token.dep_ == "pobj" and token.head.lower_ in ("in", "with") and is_noun(token.head.head)
        return token.head.head if worn and is_living_mention(self, token.head.head.i) else token

    def _of_verb(self, verb: Token, phrase: Phrase) -> tuple[int, ...]:
        """What a verb's preposition speaks of: its object where it is moved or put, its subject otherwise."""
        if phrase.start < verb.i:  # "to its left is a robot"
            after = [
                child
                for child in verb.rights
                if child.dep_ in ("attr", "nsubj", "nsubjpass") and self.naming.groups(child)
            ]
            if after and not any(child.dep_ in ("nsubj", "nsubjpass") for child in verb.lefts):
                return self._groups([after[0], *conjuncts(after[0])])
        objects = [
            child
            for child in verb.children
            if child.dep_ in ("dobj", "attr", "oprd") and child.i < phrase.start and self.naming.groups(child)
        ]
        lemma = lemma_of(verb)
        subject = self._wearer(subject_of(verb))
        joined = [t for t in self._joined(subject) if t.i < verb.i or subject.i > verb.i] if subject is not None else []
        subjects = self._groups([subject, *joined]) if subject is not None else ()
        if subject is not None and verb.dep_ in ("acl", "relcl") and subject.dep_ == "conj" and subjects:
            subjects = (*self._list_before(subject, phrase), *subjects)
        directed = lemma in w.PUT or phrase.words in ("into", "onto", "off", "out of")
        if objects and (directed or not subjects or lemma in w.ASKING and verb.dep_ == "ROOT" and not subjects):
            return self._groups(
                [token for first in objects for token in (first, *conjuncts(first)) if token.i < phrase.start]
            )
        return subjects

    def _joined(self, token: Token) -> list[Token]:
        return conjuncts(token)

    def _nearest_before(self, phrase: Phrase, excluded: set[int]) -> tuple[int, ...]:
        before = [i for i in self.naming.of if i < phrase.start and set(self.naming.of[i]) - excluded]
        if before:
            return tuple(i for i in self.naming.of[max(before)] if i not in excluded)
        after = [i for i in self.naming.of if i >= phrase.end and set(self.naming.of[i]) - excluded]
        return tuple(i for i in self.naming.of[min(after)] if i not in excluded) if after else ()

    def _list_before(self, anchor: Token, phrase: Phrase) -> tuple[int, ...]:
        """The earlier things of a list that ends in the anchor: "a cup and a plate on a table"."""
        found: tuple[int, ...] = ()
        token = anchor
        if token.dep_ == "conj" and self._words_between(token.head, token) & {
            "with"
        }:  # "X with a clock and a glass on it"
            at = self.naming.mentions[anchor.i].start if anchor.i in self.naming.mentions else 0
            before = next((m for m in self.naming.mentions.values() if m.at == at - 2), None)
            return self.naming.of.get(before.at, ()) if before and self.parsed.names[at - 1] == "and" else ()
        verb = clause_verb(anchor)
        while token.dep_ == "conj" and is_noun(token.head) and token.head.i < token.i:
            token = token.head
            groups = self.naming.groups(token)
            placed = {a for a, _, _ in self.reading.relations} | {a for a, _ in self.reading.places}
            if not groups or placed & set(groups) or token.dep_ == "dobj" and verb is not None:
                break
            if any(child.dep_ == "prep" and child.i < anchor.i and child.lower_ != "of" for child in token.children):
                break
            vertical = phrase.words in w.RELATIONS and w.RELATIONS[phrase.words] in (Predicate.ABOVE, Predicate.BELOW)
            if vertical and hangs(self.reading.groups[groups[-1]].category) != hangs(
                self.reading.groups[self.naming.groups(anchor)[-1]].category if self.naming.groups(anchor) else ""
            ):
                break
            found = (*groups, *found)
        return found

    def _words_between(self, first: Token, second: Token) -> set[str]:
        return set(self.parsed.names[first.i + 1 : second.i])

    # verbs

    def _with(self, token: Token) -> None:
        """ "With": what a thing has, wears or holds."""
        phrase = Phrase(token.i, token.i + 1, "with", "relation")
        tokens = objects_of(self.parsed, phrase)
        objects = self._groups(tokens)
        if not objects:
            return
        anchor = anchor_of(self.parsed, phrase)
        mention = self.naming.mentions.get(anchor.i) if anchor is not None else None
        if mention is not None and mention.kind is Kind.META:
            return
        subjects = tuple(i for i in self._subjects(phrase, tokens) if i not in objects)
        verb = self._verb_of(phrase)
        for host in subjects[-1:]:
            for thing in objects:
                self._has(host, thing, verb)

    def _has(self, host: int, thing: int, verb: Token | None) -> None:
        groups = self.reading.groups
        placed = (Predicate.ON, Predicate.IN, Predicate.ABOVE, Predicate.UNDER)
        if any(a == thing and (b == host or how in placed) for a, how, b in self.reading.relations):
            return
        if self._wears(host, thing):
            self.reading.relate(thing, Predicate.WORN_BY, host)
        elif (
            is_living(groups[host].category)
            and verb is not None
            and is_holdable(groups[thing].category, groups[thing].noun)
        ):
            self.reading.relate(thing, Predicate.HELD_BY, host)
        elif (host, thing) not in self.reading.hosts and host != thing:
            self.reading.hosts.append((host, thing))

    def _verb(self, verb: Token) -> None:
        """A verb with its subject and object."""
        lemma = lemma_of(verb)
        subject = self._wearer(subject_of(verb))
        joined = [t for t in self._joined(subject) if t.i < verb.i or subject.i > verb.i] if subject is not None else []
        subjects = self._groups([subject, *joined]) if subject is not None else ()
        self._pose(lemma, subjects)
        if lemma in w.WEAR and subjects:
            self._clothe(verb, subjects[0])
        tokens = [child for child in verb.children if child.dep_ in ("dobj", "dative")]
        passive = [t for child in verb.children if child.dep_ == "agent" for t in child.children if t.dep_ == "pobj"]
        objects = self._groups([token for first in tokens for token in (first, *conjuncts(first))])
        if passive and not any(phrase.start <= verb.i < phrase.end for phrase in self.naming.phrases):
            subjects, objects = self._groups(passive), subjects
        subjects = tuple(i for i in subjects if i not in objects)
        if (
            verb.dep_ == "relcl"
            and not objects
            and any(c.dep_ == "nsubj" for c in verb.children)
            and self.naming.groups(verb.head)
        ):
            objects = tuple(i for i in self.naming.groups(verb.head) if i not in subjects)
        for a in subjects:
            for b in objects:
                self._act(lemma, a, b)

    def _clothe(self, verb: Token, wearer: int) -> None:
        """All clothes that follow "wearing", however the parser bound them."""
        for at in range(verb.i + 1, len(self.parsed.names)):
            token = self.parsed.doc[at]
            if (
                token.pos_ == "VERB"
                or token.text in (".", ";")
                or token.lower_ in ("and", ",")
                and at + 1 in self.naming.mentions
                and is_living_mention(self, at + 1)
            ):
                return
            mention = self.naming.mentions.get(at)
            if mention is not None and mention.noun.rpartition(" ")[2] in w.CLOTHES:
                for group in self.naming.of.get(at, ()):
                    self.reading.relate(group, Predicate.WORN_BY, wearer)

    def _pose(self, lemma: str, subjects: tuple[int, ...]) -> None:
        pose = w.POSTURES.get(lemma, "")
        for index in subjects if pose else ():
            if is_living(self.reading.groups[index].category):
                self.reading.groups[index].pose = pose

    def _act(self, lemma: str, a: int, b: int) -> None:
        """What a does with b."""
        reading = self.reading
        groups = reading.groups
        if any({x, z} == {a, b} for x, _, z in reading.relations):
            return
        thing = groups[b]
        several = reading.total(a)
        if (
            thing.is_vague
            and thing.is_plural
            and several > 1
            and not groups[a].is_vague
            and lemma in w.RIDE | w.WEAR | w.HOLD
        ):
            thing.count = several  # two girls riding bicycles ride two
        living = is_living(groups[a].category)
        if lemma in w.WEAR:
            reading.relate(b, Predicate.WORN_BY, a)
        elif lemma in w.RIDE and longest_m(thing.category, thing.noun) > HANDY_M:
            reading.relate(a, Predicate.ON, b)
            groups[a].pose = "riding"
        elif lemma in w.SURROUND:
            self._around(a, b)
        elif lemma in w.COVER and not living:
            reading.relate(a, Predicate.ON, b)
        elif lemma in ("climb", "cross", "mount") and living:
            reading.relate(a, Predicate.ON, b)
        elif lemma in w.CARRY_ON and not living:
            reading.relate(b, Predicate.ON, a)
        elif lemma in w.CONTAIN and not living:
            self._has(a, b, None)
        elif lemma in ("chase", "follow", "pursue"):
            reading.relate(a, Predicate.NEXT_TO, b)
        elif living and (lemma in w.HOLD or lemma in w.PUT) and is_holdable(thing.category, thing.noun):
            self._hold(a, b)
        elif lemma == "have" and living:
            self._has(a, b, None)
        elif lemma not in ("be", "become", "contrast", "complement", "match", "show", "depict"):
            reading.relate(a, Predicate.NEXT_TO, b)

    def _hold(self, a: int, b: int) -> None:
        """Hold, unless the words put the thing elsewhere: "putting a cup on a table"."""
        elsewhere = any(x == b and z != a for x, _, z in self.reading.relations)
        self.reading.relate(b, Predicate.NEXT_TO if elsewhere else Predicate.HELD_BY, a)


def is_living_mention(relating: Relating, at: int) -> bool:
    """True for a person or an animal at a token."""
    return any(is_living(relating.reading.groups[group].category) for group in relating.naming.of.get(at, ()))


def longest_m(category: str, noun: str) -> float:
    """The longest side of a thing in metres, as far as it is known."""
    known = category if category in knowledge.things() else lexicon.stand_in(noun) or category
    return max(knowledge.size_of(known, noun))


def is_holdable(category: str, noun: str) -> bool:
    """True for what a person can hold."""
    return longest_m(category, noun) <= HELD_M and not is_person(category)


def is_person(category: str) -> bool:
    return category == "person"


def is_container(noun: str) -> bool:
    """True for what other things are in."""
    return noun.rpartition(" ")[2] in CONTAINERS


def hangs(category: str) -> bool:
    """True for what is usually in the air, on a wall or under a ceiling."""
    known = knowledge.things().get(category)
    return known is not None and known.on[0] in ("sky", "wall", "ceiling")


__all__ = ["Relating"]
