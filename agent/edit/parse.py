"""An edit in words, cut into commands: "remove the lamp, then make the sofa red and the cup green" -> three of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.edit import kept
from agent.edit.amounts import changed_by, growth_of
from agent.edit.counts import Command, read_counts
from agent.edit.directions import direction_of, is_place, on_thing
from agent.edit.lists import OF_ALL, WHERE, Known, split_list, things_said, things_said_together
from agent.edit.looks import are_looks, is_paint
from agent.edit.verbs import (
    ADDING,
    APART,
    BE,
    CUT,
    GROWING,
    IN_ITS_PLACE,
    INSTEAD,
    MAKING,
    OPENING,
    PARTICIPLES,
    POLITE,
    POLITE_END,
    REMOVED,
    START,
    TRADE_PLACES,
    TURNED,
    VERB_OF,
)
from instdiff.errors import BadInput
from instdiff.world import nouns

EXAMPLES = (
    '"add a cat on the sofa", "remove the lamp", "replace the dog with a cat", "move the car to the left", '
    '"make the tree larger", "make the sofa red", "swap the cat and the dog"'
)
MAX_WORDS = 2000
_PUT_BACK = re.compile(rf"(?P<target>(?:the|it|them|both|all)\b.*?) (?P<to>(?:{WHERE})\b.*)")
_PICTURE = re.compile(r" (?:to|in|into|from|on) (?:the|this) (?:picture|image|scene|photo|layout|canvas|frame)\b")
_ATTRIBUTE_OF = re.compile(
    r"(?:the )?(?P<what>colou?r|size|height|width|length|shape|looks?|appearance|positions?|places?|locations?)"
    r" of (?P<rest>.+)"
)
_OWNED = re.compile(r"(?P<target>.+?)(?:'s|s') (?:colou?r|size|looks?|appearance)(?P<to> .+|$)")
_ONE = re.compile(r"(?:(?:in)?to |with |by |for )?an? (?P<look>.+) one")  # "a blue one"
_ARTICLE = re.compile(r"(?:a|an|one|two|three|four|five|six|some|several|another|\d+) ")


MOVED_BY_ADDING = ("put", "place", "set", "hang")


def commands(words: str, is_there: Known) -> list[Command]:
    """Read an edit.

    Args:
        is_there: tells if words are the name of something in the layout: where it ends, "to the left" may begin.

    Raises:
        BadInput: the words are empty, too long, or no edit.
    """
    text = re.sub(r"[\"“”„]|(?<!\w)['‘]|['’](?!\w)", "", words).replace("’", "'")
    text = " ".join(re.sub(r"(?<= )[&+](?= )", "and", text).split()).strip(" .!;,")
    if not text:
        raise BadInput("edit", f"say what to change, such as {EXAMPLES}")
    if len(text) > MAX_WORDS:
        raise BadInput("edit", f"{len(text)} characters; up to {MAX_WORDS} are read")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        raise BadInput("edit", "is not valid Unicode text")
    parsed: list[Command] = []
    for clause in _clauses(text.lower(), is_there):
        parsed += _read_clause(clause, is_there)
    if all(command.verb == "keep" for command in parsed):
        raise BadInput("edit", f'"{words.strip()}" asks for no change; say what to change, such as {EXAMPLES}')
    return parsed


def _clauses(text: str, is_there: Known) -> list[str]:
    """The clauses of an edit; what is no clause by itself begins the next: "the dog", "instead of the dog"."""
    clauses: list[str] = []
    begun = ""
    for part in CUT.split(kept.set_apart(text)):
        new = IN_ITS_PLACE.fullmatch(POLITE.sub("", part.strip(" .,;!?")))
        if new and clauses and (gone := REMOVED.fullmatch(clauses[-1])):  # "remove the jar and put a cup in its place"
            clauses[-1] = f"replace {gone['what']} with {new['what'] or new['then'] or new['other']}"
            continue
        clause = APART.sub(r"\1 \3 \2", _plain(part))
        is_begun = clause and (OPENING.fullmatch(clause) or all(map(is_there, split_list(clause, is_there))))
        if is_begun and not START.match(clause):
            begun += f"{clause}, " if OPENING.fullmatch(clause) else f"{clause} and "
        elif clause:
            clauses.append(begun + clause)
            begun = ""
    return [*clauses, begun.removesuffix(" and ").strip(" ,")] if begun else clauses


def _plain(clause: str) -> str:
    """A clause without what is said out of politeness."""
    clause = POLITE_END.sub("", re.sub(r"(?:[ ,]+(?:and|then|also))+$", "", clause.strip(" .,;!?")))
    while (shorter := POLITE.sub("", clause).strip(" ,")) != clause:
        clause = shorter
    return clause


def _read_clause(clause: str, is_there: Known) -> list[Command]:
    if (things := kept.kept_things(clause, is_there)) is not None:
        return [Command("keep", *thing) for thing in things]
    if TURNED.fullmatch(clause):
        cure = "say what else is to change, or repaint the thing with other words"
        raise BadInput("edit", f'"{clause}" turns a thing, and the boxes of a layout stand upright; {cure}')
    for reads in (read_counts, _read_instead, _read_trade, _read_statement):
        if read := reads(clause, is_there):
            return read
    start = START.match(clause)
    if not start:
        raise BadInput("edit", f'"{clause}" begins with no edit that is known; say it like {EXAMPLES}')
    words = re.sub(r"^(?:only|just) ", "", _PICTURE.sub("", f" {start[2]}").strip())
    if start[1] == "set" and _ATTRIBUTE_OF.fullmatch(words):
        return list(_make("change", words, clause, is_there))
    return list(_of_verb(start[1], words, clause, is_there))


def _read_instead(clause: str, is_there: Known) -> list[Command]:
    """ "a cat instead of the dog", "make the sofa red instead of grey", "put a cat where the dog is"."""
    said = next((match for pattern in INSTEAD if (match := pattern.fullmatch(clause))), None)
    if said is None:
        return []
    old = said["old"]
    new = said["new"]
    if is_there(old):
        return [Command("replace", old, re.sub(rf"^(?:{ADDING}) ", "", new))]
    if are_looks(old) or old.startswith(("the left", "the right", "the top", "the bottom", "larger", "smaller")):
        return _read_clause(new, is_there)
    raise BadInput("edit", f'"{old}" of "{clause}" is not there, so that nothing can be in its place')


def _read_trade(clause: str, is_there: Known) -> list[Command]:
    """ "let the cat and the dog trade places"."""
    said = TRADE_PLACES.fullmatch(clause)
    if not said:
        return []
    names = split_list(said["who"], is_there)
    return [Command("swap", names[0], names[1] if len(names) == 2 else names[0])] if len(names) < 3 else []


def _read_statement(clause: str, is_there: Known) -> list[Command]:
    """ "the sofa should be red", "the lamp must be removed"."""
    said = BE.fullmatch(clause)
    if not said:
        return []
    words = said["to"]
    first, _, rest = words.partition(" ")
    if first in PARTICIPLES:
        return _read_clause(f"{PARTICIPLES[first]} {said['target']} {rest}".strip(), is_there)
    if not is_there(said["target"]) and not split_list(said["target"], is_there)[1:]:
        is_new = re.match(r"an? ", said["target"]) and direction_of(words)
        return [Command("add", f"{said['target']} {on_thing(words)}")] if is_new else []
    if is_place(words, is_there):
        return _read_clause(f"move {said['target']} {words}", is_there)
    return _read_clause(f"make {said['target']} {words}", is_there)


def _of_verb(word: str, words: str, clause: str, is_there: Known) -> Iterator[Command]:
    verb = VERB_OF[word]
    match verb:
        case "add":
            back = _PUT_BACK.fullmatch(words)
            if back and word in MOVED_BY_ADDING and is_there(back["target"]):
                yield from _moves(words, clause, is_there)
            else:
                yield Command("add", on_thing(words))
        case "remove":
            words = re.sub(r"\b(?:away )?from (?=(?:the|a) (?!left\b|right\b))", "on ", words)
            yield from (Command("remove", part) for part in split_list(words, is_there))
        case "copy":
            yield from (Command("copy", part) for part in split_list(words, is_there))
        case "replace" | "swap":
            yield from _pair(word, words, clause, is_there)
        case "raise" | "lower":
            yield from _moves(f"{words} {'up' if verb == 'raise' else 'down'}", clause, is_there)
        case "move":
            yield from _moves(words, clause, is_there)
        case "darken" | "lighten" | "brighten":
            look = {"darken": "dark", "lighten": "light", "brighten": "bright"}[verb]
            pieces = things_said(words, is_there, lambda tail: not tail)
            yield from (Command("make", target, f"{to} {look}".strip()) for target, to in pieces)
        case "centre":
            yield from _moves(f"{words} to the centre", clause, is_there)
        case "widen":
            pieces = things_said(words, is_there, lambda tail: growth_of(f"wider {tail}") is not None)
            yield from (Command("make", target, f"wider {to}".strip()) for target, to in pieces)
        case "give":
            pieces = things_said(words, is_there, are_looks)
            if not are_looks(pieces[-1][1]):
                cure = 'say it like "make the man taller" or "add a hat on the man"'
                raise BadInput("edit", f'"{clause}" gives no look that is known; {cure}')
            yield from (Command("make", target, to) for target, to in pieces)
        case "enlarge" | "shrink" | "scale":
            yield from _sizes(word, words, clause, is_there)
        case _:
            yield from _make(word, words, clause, is_there)


def _moves(words: str, clause: str, is_there: Known) -> Iterator[Command]:
    words = re.sub(r"^the (?:positions?|places?|locations?) of ", "", words)
    words = re.sub(r" (?:away )?from (?=the ).+?(?= (?:on|in)?to (?:the|a) )", "", words)
    pieces = things_said(words, is_there, lambda tail: is_place(on_thing(tail), is_there))
    if not pieces[-1][1]:
        cure = f'say it like "{clause} to the left" or "{clause} onto the table"'
        raise BadInput("edit", f'"{clause}" does not say where; {cure}')
    together = re.fullmatch(r"(.*?)\s*(?:closer|nearer) (?:together|to (?:each other|one another))", pieces[-1][1])
    apart = re.fullmatch(r"(.*?)\s*(?:(?:farther|further) )?(?:apart|away from each other)", pieces[-1][1])
    if (near := together or apart) and len(pieces) == 2:
        way = f"{near[1]} {'towards' if together else 'away from'}".strip()
        (first, _), (second, _) = pieces
        yield from (Command("move", first, f"{way} {second}"), Command("move", second, f"{way} {first}"))
        return
    for target, to in pieces:
        yield Command("move", target, on_thing(to))


def _sizes(word: str, words: str, clause: str, is_there: Known) -> Iterator[Command]:
    """ "enlarge the cup by 20%", "increase the width of the cup", "double the cup in size", "scale the cup by 2"."""
    side = "size"
    if owned := re.fullmatch(r"(?:the )?(size|height|width|length)s? of (.+)", words):
        side = owned[1]
        words = owned[2]
    words = re.sub(r"^(.+?)'s size\b", r"\1", words)
    grows = VERB_OF[word] != "shrink"
    factor = GROWING.get(word)
    for target, to in things_said(words, is_there, lambda tail: growth_of(changed_by(tail, grows)) is not None):
        said = re.sub(r"^(?:(?:up|down) )?(?:to be )?", "", to)
        if factor and not re.sub(r"^in size$", "", said):
            said = f"{factor} times larger"
        elif VERB_OF[word] == "scale":
            is_free = not to.startswith(("up", "down"))
            share = re.fullmatch(r"(?:by )?(\d+(?:\.\d+)? ?(?:%|percent))", said) if is_free else None  # "by 50 %"
            said = f"{share[1]} of its size" if share else changed_by(said, to[:4] != "down") if to else ""
        else:
            said = changed_by(said, grows)
        if pixels := re.fullmatch(r"(?:to )?(\d+ ?(?:px|pixels?))", said):  # "set the width of the cup to 90 px"
            said = f"{pixels[1]} {'tall' if side == 'height' else 'wide' if side != 'size' else 'large'}"
        if side != "size":
            wider = {"height": ("taller", "shorter")}.get(side, ("wider", "narrower"))
            said = said.replace("larger", wider[0]).replace("smaller", wider[1])
        if not said or growth_of(said) is None:
            raise BadInput("edit", f'"{clause}" does not say how much; say it like "enlarge the lamp by 20 %"')
        yield Command("make", target, said)


def _make(word: str, words: str, clause: str, is_there: Known) -> Iterator[Command]:
    """ "make the tree larger and the car red", "change the colour of the car to red", "turn the dog into a cat"."""
    if attribute := _ATTRIBUTE_OF.fullmatch(words):
        if attribute["what"] in ("size", "height", "width", "length"):
            yield from _sizes("scale", words, clause, is_there)
            return
        words = re.sub(r"\b(?:that|the colou?r|colou?r) of ", "", attribute["rest"])
        if attribute["what"].startswith(("position", "place", "location")):
            yield from _moves(words, clause, is_there)
            return
    if owned := _OWNED.fullmatch(words):
        words = f"{owned['target']}{owned['to']}"
    pieces = things_said_together(words, is_there, lambda tail: _is_change(tail, is_there))
    if not pieces[-1][1]:
        raise BadInput(
            "edit", f'"{clause}" does not say how; say it like "make the tree larger" or "make the sofa red"'
        )
    for targets, said in pieces:
        if (one := _ONE.fullmatch(said)) and are_looks(one["look"]):
            said = one["look"]
        new = said.removeprefix("with ")
        if new != said and not is_paint(new) and (are_looks(new) or not _ARTICLE.match(new)):
            raise BadInput("edit", f'"{said}" of "{clause}" was not understood; say it like "make the sofa red"')
        to = said if growth_of(said) else re.sub(r"^(?:(?:in)?to (?:be )?|be |become |as |in |with )", "", said)
        is_elsewhere = is_place(said, is_there) and not re.match(r"(?:in)?to (?:an?|one|two|three|some) ", said)
        if is_elsewhere and word in ("make", "change", "let") and not are_looks(to):
            yield from (Command("move", target, on_thing(said)) for target in targets)
        elif _is_replacement(word, said, to):
            _check_listed(to)
            yield Command("replace", OF_ALL.join(targets), to)
        else:
            yield from (Command("make", target, to) for target in targets)


def _is_replacement(word: str, said: str, to: str) -> bool:
    """True for "into a cat", "to two cats", "into gravel": what follows is a thing and no look."""
    if word not in MAKING or _are_changes(to):
        return re.fullmatch(r"an? \w+", to) is not None and nouns.thing_of(to) is not None
    if _ARTICLE.match(to):
        return True
    return said.startswith(("into ", "to ")) and not are_looks(to) and nouns.thing_of(to) is not None


def _is_change(tail: str, is_there: Known) -> bool:
    """True if words say of what size or look a thing is to be, or what takes its place."""
    plain = re.sub(r"^(?:(?:in)?to (?:be )?|be |become |as |in )", "", tail)
    if re.match(r"(?:into|to|with) ", tail) or _ARTICLE.match(tail):
        return True
    return _are_changes(plain) or _are_changes(tail) or is_place(tail, is_there)


def _are_changes(words: str) -> bool:
    """True if words say sizes and looks and nothing else."""
    parts = [part for part in re.split(r"\s*(?:,|\band\b)\s*", words) if part]
    return bool(parts) and all(growth_of(part) or are_looks(part) for part in parts)


def _pair(word: str, words: str, clause: str, is_there: Known) -> Iterator[Command]:
    """Two things that change places, or of which the one takes the place of the other."""
    words = re.sub(r"^(?:the )?(?:positions?|places?|locations?|spots?|order) (?:of|between) ", "", words)
    words = re.sub(r"(?<=\w)'s?(?: (?:positions?|places?|locations?|spots?)\b|$)", "", words)
    is_swap = VERB_OF[word] == "swap"
    if is_swap and (looks := re.fullmatch(r"(?:the )?colou?rs? of (.+?) (?:and|with) (.+)", words)):
        yield Command("swap colours", looks[1], re.sub(r"^(?:that|the colou?r) of ", "", looks[2]))
        return
    pieces = things_said_together(words, is_there, lambda tail: re.match(r"(?:with|by|for|to|into) ", tail) is not None)
    if is_swap and len(pieces) == 1 and len(pieces[0][0]) == 2 and not pieces[0][1]:
        yield Command("swap", *pieces[0][0])
        return
    if is_swap and len(pieces) == 1 and is_there(words) and re.match(r"the two |both |them$|these$|the \w+s$", words):
        yield Command("swap", words, words)
        return
    if word == "substitute" and (turned := re.fullmatch(r"(?P<new>.+?) (?:for|in place of) (?P<old>.+)", words)):
        if is_there(turned["old"]) and not re.match(r"the ", turned["new"]):
            yield Command("replace", turned["old"], turned["new"])
            return
    if not all(re.match(r"(?:with|by|for|to|into) ", to) for _, to in pieces):
        parts = re.split(r"\s+(?:with|by|for)\s+" if not is_swap else r"\s+(?:and|with|for)\s+", words, maxsplit=1)
        if len(parts) == 2:
            yield Command("swap" if is_swap else "replace", *parts)
            return
        cure = 'say it like "replace the dog with a cat" or "swap the cat and the dog"'
        raise BadInput("edit", f'"{clause}" names one thing and needs two; {cure}')
    for targets, said in pieces:
        to = said.split(" ", 1)[1]
        if is_swap and is_there(to) and not _ARTICLE.match(to):
            yield Command("swap", OF_ALL.join(targets), to)
        elif (one := _ONE.fullmatch(to)) and are_looks(one["look"]):
            yield from (Command("make", target, one["look"]) for target in targets)
        else:
            _check_listed(to)
            yield Command("replace", OF_ALL.join(targets), to)


def _check_listed(to: str) -> None:
    """Refuse "a cat and the piano with a dog", where the piano is not there; raises BadInput."""
    if other := re.search(r"(?:\band|,) (the .+?) (?:into|with|by|for) (?:an?|the|two|three|some) ", to):
        raise BadInput("edit", f'"{other[1]}" is not there, so that nothing can take its place')
