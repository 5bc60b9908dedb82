"""How the things of a prompt lie to each other: what its prepositions and verbs say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.planners.english import words as w
from agent.planners.english.links import Phrase, anchor_of, conjuncts, objects_of, place_on_picture
from agent.planners.english.mentions import Kind
from agent.planners.english.parser import is_noun, lemma_of
from agent.planners.english.parts import is_living, last_word
from agent.planners.english.subjects import (
    Groups,
    doers_of,
    groups_before,
    groups_of_anchor,
    groups_on_side,
    is_living_at,
)
from instdiff.world import knowledge, lexicon
from instdiff.world.predicates import Predicate

if TYPE_CHECKING:
    from spacy.tokens import Token

    from agent.planners.english.groups import Naming

HANDY_M = 0.6  # the longest side of what a person "on" it holds: a phone, a laptop
HELD_M = 1.8  # ... of what is held because the words say so: an umbrella, a surfboard


class Relating:
    """Adds to a reading what its phrases and verbs say of the groups that `Naming` found."""

    def __init__(self, naming: Naming):
        self.naming = naming
        self.parsed = naming.parsed
        self.reading = naming.reading
        self.depths: list[tuple[int, Predicate]] = []

    def relate_all(self) -> None:
        """Read every phrase, "with" and verb."""
        for phrase in self.naming.phrases:
            if phrase.sort == "relation" and (place := place_on_picture(self.parsed, phrase)):
                sides, end = place
                groups = groups_on_side(self.naming, phrase, end)
                self.reading.places += [(group, side) for group in groups for side in sides]
            elif phrase.sort in ("mutual", "row"):
                self._stand_in_row(phrase)
            elif phrase.sort == "order":
                for index in range(1, len(self.reading.groups)):
                    self.reading.relate(index - 1, w.ROWS[phrase.words], index)
            elif phrase.sort != "made":
                self._read_phrase(phrase)
        phrased = {i for p in self.naming.phrases if p.sort != "relation" for i in range(p.start, p.end)}
        for token in self.parsed.doc:
            if token.lower_ in w.WITH and token.i not in phrased and token.pos_ in ("ADP", "SCONJ", "VERB"):
                self._read_with(token)
            elif token.pos_ in ("VERB", "AUX"):
                self._read_verb(token)
        self._order_depths()

    # phrases

    def _read_phrase(self, phrase: Phrase) -> None:
        tokens = self._objects(phrase)
        if phrase.sort == "relation" and self._is_depth(phrase, tokens):
            return
        objects = self.naming.groups(*tokens)
        if not objects:
            return
        subjects = tuple(i for i in groups_before(self.naming, phrase, tokens) if i not in objects)
        pairs = [(subject, target) for subject in subjects for target in objects]
        if phrase.sort == "between":
            self._between(phrase, subjects, objects)
        elif phrase.sort == "around":
            self.reading.flanks += pairs
        elif phrase.sort == "surrounded":
            self.reading.flanks += [(target, subject) for subject, target in pairs]
        elif phrase.sort == "reversed":
            for subject, target in pairs[-len(objects) :]:
                self.reading.relate(target, w.REVERSED[phrase.words], subject)
        elif phrase.sort == "compared":
            for subject, target in pairs:
                self.reading.relate(subject, w.COMPARED[phrase.words], target)
        else:
            lemma = self._verb_above(phrase)
            if self._is_denied(phrase):
                return
            if any(self._uses(lemma, *pair) for pair in pairs):  # "a cat and a boy on the phone": the boy is
                pairs = [pair for pair in pairs if self._uses(lemma, *pair)]
            is_pronoun = any(token.pos_ == "PRON" for token in tokens)
            is_inside = any(map(self._is_inner, tokens))
            for subject, target in pairs:
                self._relate(phrase, lemma, subject, target, is_pronoun, is_inside)

    def _objects(self, phrase: Phrase) -> list[Token]:
        """What a phrase leads to, without what a list goes on with and is told of anew: "... and a dog under it"."""
        tokens = objects_of(self.parsed, phrase)
        if not tokens:
            return []
        first, *others = tokens
        if first.i in self.naming.mentions and not self.naming.groups(first):
            return [first]
        if phrase.sort == "between" and len(others) < 2 and first.tag_ not in ("NNS", "PRP"):
            return tokens
        starts = {other.start for other in self.naming.phrases if other.start > phrase.start}
        anew = [t.i for t in others if t.i + 1 in starts or any(c.dep_ in ("acl", "relcl") for c in t.rights)]
        return [first, *(t for t in others if t.i < min(anew, default=len(self.parsed.doc)))]

    def _relate(self, phrase: Phrase, lemma: str, subject: int, target: int, is_pronoun: bool, is_inside: bool) -> None:
        """Relate two groups by a preposition that hangs from a verb of this base form."""
        predicate = w.RELATIONS[phrase.words]
        group = self.reading.groups[target]
        if predicate is Predicate.ON:
            is_pictured = is_pronoun and phrase.words == "on" and last_word(group.noun) in w.FLAT
            if is_pictured or is_inside or group.category == "wall" and lemma not in w.STANDING:
                self.reading.relate(subject, Predicate.IN, target)
                return
        if phrase.words == "in" and self._can_wear(subject, target):
            self._wear(subject, target)
        elif predicate in (Predicate.ON, Predicate.IN) and self._uses(lemma, subject, target):
            self.reading.relate(target, Predicate.HELD_BY, subject)
        elif predicate is Predicate.IN and group.category in w.LAIN_ON:
            self.reading.relate(subject, Predicate.ON, target)
        elif phrase.words not in w.LOOSE or lemma in w.PUT:
            self.reading.relate(subject, predicate, target)
            if phrase.words in w.ON_TOP:
                self.reading.relate(subject, Predicate.ABOVE, target)

    def _is_inner(self, token: Token) -> bool:
        """True for "the top shelf" of a fridge."""
        mention = self.naming.mentions.get(token.i)
        return mention is not None and mention.kind is Kind.PART and mention.noun in w.INNER_PARTS

    def _can_wear(self, subject: int, target: int) -> bool:
        groups = self.reading.groups
        return last_word(groups[target].noun) in w.CLOTHES and is_living(groups[subject].category)

    def _wear(self, wearer: int, item: int) -> None:
        """Clothe a group; several in "a red dress" have one each."""
        group = self.reading.groups[item]
        several = self.reading.total(wearer)
        if group.count == 1 and several > 1:
            group.count = several
        self.reading.relate(item, Predicate.WORN_BY, wearer)

    def _uses(self, lemma: str, subject: int, target: int) -> bool:
        """True for "a man talking on a phone": he uses what is too small to be on."""
        group = self.reading.groups[target]
        if self.reading.groups[subject].category != "person" or not lemma or lemma in w.STANDING - w.SET_DOWN:
            return False
        return longest_m(group.category, group.noun) < HANDY_M if group.is_known else lemma in w.HOLD

    def _is_denied(self, phrase: Phrase) -> bool:
        """True for "it does not fit into the suitcase"."""
        anchor = anchor_of(self.parsed, phrase)
        return anchor is not None and any(child.dep_ == "neg" for child in anchor.children)

    def _verb_above(self, phrase: Phrase) -> str:
        """The base form of the verb that a phrase hangs from, or empty."""
        anchor = anchor_of(self.parsed, phrase)
        while anchor is not None and is_noun(anchor) and anchor.dep_ in ("dobj", "pobj"):
            anchor = anchor.head if anchor.dep_ == "dobj" else anchor.head.head
        return lemma_of(anchor) if anchor is not None and anchor.pos_ == "VERB" else ""

    def _between(self, phrase: Phrase, subjects: Groups, objects: Groups) -> None:
        is_one = len(objects) == 1 and self.reading.total(objects[0]) == 1
        if is_one and (other := self._joined_after(phrase)) and not set(other) & set(subjects):
            objects = (*objects, *other)
            is_one = False
        for subject in subjects:
            if not is_one:
                self.reading.between.append((subject, objects))
            elif phrase.words.endswith("of"):
                is_container = last_word(self.reading.groups[objects[0]].noun) in w.CONTAINERS
                self.reading.relate(subject, Predicate.IN if is_container else Predicate.ON, objects[0])
            else:
                self.reading.relate(subject, Predicate.NEXT_TO, objects[0])

    def _joined_after(self, phrase: Phrase) -> Groups:
        """The tree of "in the middle of a sofa and a tree", where the parser bound it to something else."""
        later = sorted((m.at, m.start) for m in self.naming.mentions.values() if m.at >= phrase.end)
        is_joined = len(later) > 1 and self.parsed.names[later[0][0] + 1 : later[1][1]] == ["and"]
        return self.naming.of.get(later[1][0], ())[:1] if is_joined else ()

    def _stand_in_row(self, phrase: Phrase) -> None:
        """ "Side by side", "in a row": each thing beside the next."""
        groups = groups_of_anchor(self.naming, anchor_of(self.parsed, phrase), phrase)
        if sum(map(self.reading.total, groups)) > 1:
            self.reading.rows.append((groups, Predicate.NEXT_TO))

    def _is_depth(self, phrase: Phrase, tokens: list[Token]) -> bool:
        """True, and noted, for "in the background": behind everything else."""
        predicate = w.DEPTHS.get(self.parsed.names[tokens[0].i]) if tokens else None
        if predicate is None or phrase.words not in ("in", "at", "on", "from"):
            return False
        mention = self.naming.mentions.get(tokens[0].i)
        if mention and mention.determiner == "own" or any(child.lower_ == "of" for child in tokens[0].children):
            return False
        self.depths += [(group, predicate) for group in groups_before(self.naming, phrase, tokens)]
        return True

    def _order_depths(self) -> None:
        deep = {group for group, _ in self.depths}
        near = [i for i in range(len(self.reading.groups)) if i not in deep]
        for group, predicate in self.depths if near else ():
            self.reading.relate(group, predicate, near[0])

    # verbs

    def _read_with(self, token: Token) -> None:
        """ "With": what a thing has, wears or holds."""
        phrase = Phrase(token.i, token.i + 1, "with", "relation")
        tokens = objects_of(self.parsed, phrase)
        objects = self.naming.groups(*tokens)
        anchor = anchor_of(self.parsed, phrase)
        mention = self.naming.mentions.get(anchor.i) if anchor is not None else None
        if not objects or mention is not None and mention.kind is Kind.META:
            return
        hosts = [i for i in groups_before(self.naming, phrase, tokens) if i not in objects]
        for item in objects if hosts else ():
            self._have(hosts[-1], item, self._verb_above(phrase))

    def _have(self, host: int, item: int, lemma: str = "") -> None:
        """What has another wears it, holds it while it does what a verb says, or is where it will be put."""
        group = self.reading.groups[item]
        placed = (Predicate.ON, Predicate.IN, Predicate.ABOVE, Predicate.UNDER)
        if any(a == item and (b == host or how in placed) for a, how, b in self.reading.relations):
            return
        if self._can_wear(host, item):
            self._wear(host, item)
        elif lemma and is_living(self.reading.groups[host].category) and is_holdable(group.category, group.noun):
            self.reading.relate(item, Predicate.HELD_BY, host)
        elif (host, item) not in self.reading.hosts and host != item:
            self.reading.hosts.append((host, item))

    def _read_verb(self, verb: Token) -> None:
        """A verb with its subject and object."""
        lemma = lemma_of(verb)
        subjects = doers_of(self.naming, verb)
        for group in (self.reading.groups[index] for index in subjects if lemma in w.POSTURES):
            group.pose = w.POSTURES[lemma] if is_living(group.category) else group.pose
        if lemma in w.WEAR and subjects:
            self._clothe(verb, subjects[0])
        tokens = [child for child in verb.children if child.dep_ in ("dobj", "dative")]
        objects = self.naming.groups(*(token for first in tokens for token in (first, *conjuncts(first))))
        agents = [t for child in verb.children if child.dep_ == "agent" for t in child.children if t.dep_ == "pobj"]
        if agents and not any(phrase.start <= verb.i < phrase.end for phrase in self.naming.phrases):
            subjects, objects = self.naming.groups(*agents), subjects
        if verb.dep_ == "relcl" and not objects and any(child.dep_ == "nsubj" for child in verb.children):
            objects = tuple(i for i in self.naming.groups(verb.head) if i not in subjects)  # "a ball that a dog has"
        for actor in subjects:
            for target in objects if actor not in objects else ():
                self._act(lemma, actor, target)

    def _clothe(self, verb: Token, wearer: int) -> None:
        """All clothes that follow "wearing", however the parser bound them."""
        for token in self.parsed.doc[verb.i + 1 :]:
            is_next = token.lower_ in ("and", ",") and is_living_at(self.naming, token.i + 1)
            if token.pos_ == "VERB" or token.text in (".", ";") or is_next:
                return
            mention = self.naming.mentions.get(token.i)
            if mention is not None and last_word(mention.noun) in w.CLOTHES:
                for group in self.naming.groups(token):
                    self._wear(wearer, group)

    def _act(self, lemma: str, actor: int, target: int) -> None:
        """What an actor does with a target."""
        reading = self.reading
        group = reading.groups[target]
        several = reading.total(actor)
        lives = is_living(reading.groups[actor].category)
        if any({a, b} == {actor, target} for a, _, b in reading.relations):
            return
        if group.is_vague and group.is_plural and several > 1 and lemma in w.RIDE | w.WEAR | w.HOLD:
            if not reading.groups[actor].is_vague:
                group.count = several  # two girls riding bicycles ride two
        if lemma in w.WEAR:
            self._wear(actor, target)
        elif lemma in w.RIDE and longest_m(group.category, group.noun) > HANDY_M:
            reading.relate(actor, Predicate.ON, target)
            reading.groups[actor].pose = "riding"
        elif lemma in w.SURROUND:
            reading.flanks.append((actor, target))
        elif lemma in (w.CLIMB if lives else w.COVER):
            reading.relate(actor, Predicate.ON, target)
        elif lemma in w.CARRY_ON and not lives:
            reading.relate(target, Predicate.ON, actor)
        elif lives and lemma in w.HOLD | w.PUT and is_holdable(group.category, group.noun):
            is_elsewhere = any(a == target for a, *_ in reading.relations)  # "putting a cup on a table"
            reading.relate(target, Predicate.NEXT_TO if is_elsewhere else Predicate.HELD_BY, actor)
        elif lemma == "have" or lemma in w.CONTAIN and not lives:
            self._have(actor, target)
        elif lemma not in w.STATES:
            reading.relate(actor, Predicate.NEXT_TO, target)


def longest_m(category: str, noun: str) -> float:
    """The longest side of a thing in metres, as far as it is known."""
    return max(knowledge.size_of(lexicon.known_as(category, noun), noun))


def is_holdable(category: str, noun: str) -> bool:
    """True for what a person can hold."""
    return category != "person" and longest_m(category, noun) <= HELD_M
