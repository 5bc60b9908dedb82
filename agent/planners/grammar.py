"""A small grammar of picture descriptions: words become groups of things, relations, a setting, and what is absent."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.planners.reading import Group, Reading
from agent.planners.vocabulary import (
    ADJECTIVES,
    ARTICLES,
    COLLECTIVES,
    META,
    NEGATIONS,
    NUMBERS,
    OF_PICTURE,
    PARTS,
    PLACES,
    PORTIONS,
    RELATIONS,
    STOPS,
)
from instdiff import knowledge
from instdiff.scene import Predicate as P


@dataclass
class _Noun:
    group: Group | None
    setting: str
    end: int
    determiner: str
    plural: bool = False


class Reader:
    """Reads one prompt from left to right."""

    def __init__(self, prompt: str):
        self.text = " ".join(prompt.split())
        found = list(re.finditer(r"[a-z0-9]+(?:['’-][a-z0-9]+)*|[^\sa-z0-9]", self.text.lower()))
        self.words = [match[0] for match in found]
        self.spans = [match.span() for match in found]
        self.reading = Reading()
        self.cuts: list[tuple[int, int]] = []
        self.pending: list[tuple[tuple[int, ...], P | tuple[P, ...] | str]] = []
        self.waiting: list[tuple[str | P | tuple[P, ...], tuple[int, ...]]] = []

    def read(self) -> Reading:
        """The whole prompt."""
        at, relation, subjects, fresh = 0, None, (), True
        while at < len(self.words):
            word = self.words[at]
            if end := self._phrase(at, NEGATIONS):
                at, relation = self._negation(at, end), None
            elif (end := self._phrase(at, PLACES)) and not self._of_object(end):
                at = self._place(at, end, fresh)
            elif (end := self._phrase(at, RELATIONS)) or word == "between":
                relation = "between" if word == "between" else RELATIONS[" ".join(self.words[at:end])]
                subjects = () if fresh and not self._postposed(at) else self._subjects(relation, comma=fresh)
                at, fresh = end or at + 1, False
            elif relation and subjects and word in ("it", "them", "him", "her") and self._refer(relation, subjects):
                at, relation = at + 1, None
            elif noun := self._noun(at, bare=relation is not None or at == 0 or self.words[at - 1] in ("with", "and", ",", "or")):
                self._take(noun, at, relation, subjects)
                at = noun.end
                if relation == "between" and at < len(self.words) and self.words[at] == "and":
                    at += 1
                    if second := self._noun(at, bare=True):
                        self._take(second, at, relation, subjects)
                        at = second.end
                relation, fresh = None, False
            else:
                if word in (".", ";", "!", "?", ",", "and", "while", "with"):
                    fresh, relation = True, None
                at += 1
        self._finish()
        return self.reading

    def _phrase(self, at: int, phrases) -> int:
        """The end of the longest of these phrases that starts here, or 0."""
        for length in range(min(5, len(self.words) - at), 0, -1):
            if " ".join(self.words[at : at + length]) in phrases:
                return at + length
        return 0

    def _of_object(self, end: int) -> bool:
        """True if "on the left" goes on with "of the car"."""
        rest = " ".join(self.words[end : end + 3])
        return rest.startswith("of ") and not OF_PICTURE.match(rest) or rest.startswith("side of ") and not OF_PICTURE.match(rest[5:])

    def _postposed(self, at: int) -> bool:
        """True if a relation after a comma belongs to what came before: no verb and no new noun follows its object."""
        if at == 0 or not self.reading.groups or self.words[at - 1] in (".", ";"):
            return False
        end = self._phrase(at, RELATIONS) or at + 1
        noun = self._noun(end, bare=True)
        follows = self.words[noun.end] if noun and noun.end < len(self.words) else "."
        return not (follows in ("is", "are", "there", "stands", "sits", "lies") or (noun and self._noun(noun.end, bare=False)))

    def _subjects(self, relation: P | str, comma: bool) -> tuple[int, ...]:
        """Who the relation is about: the last group, with the list it ends where the words allow that."""
        groups = self.reading.groups
        if not groups:
            return ()
        last = len(groups) - 1
        if comma and self.reading.relations:
            return (self.reading.relations[-1][0],)
        chosen = [last]
        while relation not in (P.ABOVE, P.BELOW, "between") and groups[chosen[-1]].joined and not groups[chosen[-1] - 1].placed:
            chosen.append(chosen[-1] - 1)
        return tuple(reversed(chosen))

    def _place(self, at: int, end: int, fresh: bool) -> int:
        places = PLACES[" ".join(self.words[at:end])]
        if " ".join(self.words[end : end + 1]) == "side":
            end += 1
        if match := OF_PICTURE.match(" ".join(self.words[end : end + 3])):
            end += len(match[0].split())
        start = end + 1 if end < len(self.words) and self.words[end] in (",", "is", "there") else end
        if fresh and (not self.reading.groups or self._noun(start, bare=False)):
            self.waiting.append((places, ()))
        elif self.reading.groups:
            self._locate(len(self.reading.groups) - 1, places)
        return end

    def _locate(self, index: int, places: tuple[P, ...]) -> None:
        self.reading.places += [(index, place) for place in places]
        self.reading.groups[index].placed = True

    def _negation(self, at: int, end: int) -> int:
        """Read "without cars, trucks or a dog" and cut it from the caption."""
        first = self._noun(end, bare=True)
        if first is None:
            return end
        noun, stop = first, end
        while noun and noun.determiner == first.determiner:
            name = noun.group.category if noun.group else noun.setting
            self.reading.absent += [name] if name not in self.reading.absent else []
            stop = noun.end
            skip = stop + (stop < len(self.words) and self.words[stop] == ",")
            skip += skip < len(self.words) and self.words[skip] in ("or", "and", "nor")
            skip += skip > stop and skip < len(self.words) and self.words[skip] in ("any", "no")
            noun = self._noun(skip, bare=True) if skip > stop else None
        self.cuts.append((self.spans[at][0], self.spans[stop - 1][1]))
        return stop

    def _noun(self, at: int, bare: bool) -> _Noun | None:
        """The noun phrase that starts here: number or article, adjectives, noun, and what belongs to it."""
        start = at
        while at < len(self.words) and self.words[at] in ("exactly", "only", "just", "any", "about", "also"):
            at += 1
        count, determiner = 0, ""
        if at < len(self.words) and self.words[at] in ARTICLES:
            count, determiner, number_end = 1, self.words[at], self._phrase(at, NUMBERS)
        else:
            number_end = self._phrase(at, NUMBERS)
        if number_end:
            count, determiner, at = NUMBERS[" ".join(self.words[at:number_end])], "number", number_end
        elif determiner:
            at += 1
        elif at < len(self.words) and self.words[at].isdigit():
            count, determiner, at = int(self.words[at]), "number", at + 1
        if at < len(self.words) and self.words[at] == "of" and determiner == "number":
            at += 1
        collective = next((i for i in (at, at + 1) if self.words[i : i + 1] and self.words[i] in COLLECTIVES), None)
        if determiner and collective is not None and self.words[collective + 1 : collective + 2] == ["of"]:
            inner = self._noun(collective + 2, bare=True)
            if inner and inner.group:
                inner.group.count = (
                    inner.group.count if inner.determiner == "number" else COLLECTIVES[self.words[collective]] * max(count, 1)
                )
                inner.determiner = "number"
                return inner
        return self._head(start, at, count, determiner, bare)

    def _head(self, start: int, at: int, count: int, determiner: str, bare: bool) -> _Noun | None:
        run = self._run(at)
        table, hit = knowledge.nouns(), None
        for end in range(len(run), 0, -1):
            begin = next((i for i in range(max(0, end - 3), end) if " ".join(run[i:end]) in table), None)
            if begin is not None:
                hit = (begin, end)
                break
        if hit and run[hit[1] - 1] in META and self.words[at + hit[1] : at + hit[1] + 1] in (["of"], ["showing"], ["with"]):
            return None
        if hit and isinstance(table[" ".join(run[hit[0] : hit[1]])].meaning, knowledge.Setting):
            name = table[" ".join(run[hit[0] : hit[1]])].meaning.name
            return _Noun(None, name, at + hit[1], determiner)
        if hit:
            meaning, singular, plural = table[" ".join(run[hit[0] : hit[1]])]
            group = Group(singular, meaning.name, count if determiner == "number" else count or (3 if plural else 1), tuple(run[: hit[0]]))
            if plural and determiner in ("the", "these", "those", "their", "his", "her", "its"):
                group.count = 3
            return self._tail(_Noun(group, "", at + hit[1], determiner, plural))
        if not run or not (determiner or bare) or run[-1] in META and not determiner:
            return None
        if run[-1] in ("one", "ones") and self.reading.groups:
            last = self.reading.groups[-1]
            return _Noun(Group(last.noun, last.category, max(count, 1), tuple(run[:-1])), "", at + len(run), determiner)
        if run[-1] in META:
            return None
        if not determiner and (len(run) > 3 or run[-1] in ADJECTIVES or (start > 0 and not run[-1].endswith("s"))):
            return None
        head = knowledge.singular_of(run[-1]) if count > 1 or not determiner else run[-1]
        plural = head != run[-1]
        return self._tail(
            _Noun(
                Group(head, head, count if determiner == "number" else count or (3 if plural else 1), tuple(run[:-1])),
                "",
                at + len(run),
                determiner,
                plural,
            )
        )

    def _run(self, at: int) -> list[str]:
        """The words up to the next one that ends a noun phrase; a list of adjectives goes on over "and" and commas."""
        run: list[str] = []
        while at < len(self.words):
            word = self.words[at]
            listed = bool(run) and word in ("and", ",") and all(item in ADJECTIVES or item in ("and", ",") for item in run)
            if listed and self.words[at + 1 : at + 2] and self.words[at + 1] in ADJECTIVES:
                run.append(word)
            elif word in ARTICLES or (word in STOPS and not (not run and word.endswith("ing"))) or not word[0].isalnum():
                break
            elif run and word.endswith("ing") and " ".join(run[-1:]) in knowledge.nouns():
                break
            else:
                run.append(word)
            at += 1
        return run

    def _tail(self, noun: _Noun) -> _Noun:
        """What follows the noun and stays in its caption: "of coffee", "made of wood", "with green eyes"."""
        rest = self.words[noun.end : noun.end + 4]
        length = 0
        if rest[:2] == ["made", "of"] and len(rest) > 2:
            length = 3
        elif rest[:1] == ["of"] and len(rest) > 1 and rest[1] not in ARTICLES:
            length = 2
        elif rest[:1] == ["with"]:
            part = next((i for i, word in enumerate(rest) if word in PARTS), 0)
            length = part + 1 if part else 0
        noun.group.extra = " ".join(rest[:length])
        if noun.group.noun in PORTIONS and length == 2 and rest[1] in knowledge.nouns():
            meaning = knowledge.nouns()[rest[1]].meaning
            noun.group.category = meaning.name
        noun.end += length
        return noun

    def _take(self, noun: _Noun, at: int, relation: P | str | None, subjects: tuple[int, ...]) -> None:
        """Add what a noun phrase names, and the relation that was waiting for it."""
        reading = self.reading
        if noun.setting:
            reading.setting = reading.setting or noun.setting
            reading.setting_is_subject |= not reading.groups and relation is None
            return
        if noun.group.count == 0:  # "0 cats"
            reading.absent.append(noun.group.category)
            return
        index = self._same(noun) if noun.determiner in ("the", "this", "that") else None
        if index is None:
            before = self.words[at - 1] if at else ""
            noun.group.joined = bool(reading.groups) and before in ("and", ",") and relation is None
            reading.groups.append(noun.group)
            index = len(reading.groups) - 1
        if relation is None:
            for how, targets in self.waiting:
                self._locate(index, how) if isinstance(how, tuple) else self._relate((index,), how, targets)
            self.waiting = []
        elif subjects:
            self._relate(tuple(subject for subject in subjects if subject != index), relation, (index,))
        elif relation == "between" and self.waiting and self.waiting[-1][0] == "between":
            self.waiting[-1] = ("between", (*self.waiting[-1][1], index))
        else:
            self.waiting.append((relation, (index,)))

    def _same(self, noun: _Noun) -> int | None:
        """The group that "the cat" refers back to."""
        found = [i for i, group in enumerate(self.reading.groups) if group.category == noun.group.category]
        exact = [i for i in found if set(noun.group.adjectives) <= set(self.reading.groups[i].adjectives)]
        return exact[-1] if exact else None

    def _refer(self, relation: P | str, subjects: tuple[int, ...]) -> bool:
        """Relate the last subject to the thing before it that "it" stands for; False if there is none."""
        if subjects[-1] == 0 or relation == "between":
            return False
        self._relate(subjects[-1:], relation, (subjects[-1] - 1,))
        return True

    def _relate(self, subjects: tuple[int, ...], relation: P | str, targets: tuple[int, ...]) -> None:
        for subject in subjects:
            for index in (subject, *targets):
                self.reading.groups[index].placed = True
            if relation == "between":
                known = dict(self.reading.between)
                self.reading.between = list((known | {subject: (*known.get(subject, ()), *targets)}).items())
            else:
                self.reading.relations += [(subject, relation, target) for target in targets]

    def _finish(self) -> None:
        caption = self.text
        for start, end in reversed(self.cuts):
            caption = caption[:start] + caption[end:]
        caption = re.sub(r"\s+([,.;!?])", r"\1", " ".join(caption.split()))
        self.reading.caption = re.sub(r"([,;])(?=[,.;])", "", caption).strip(" ,;") or self.text
        wanted = {group.category for group in self.reading.groups}
        self.reading.absent = [name for name in self.reading.absent if name not in wanted]
