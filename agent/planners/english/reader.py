"""A prompt becomes a `Reading`: which things it names, how many, how they look and lie, what is left to the words."""

from __future__ import annotations

from agent.planners.english import rewriting
from agent.planners.english.groups import Naming
from agent.planners.english.parser import parse
from agent.planners.english.parts import Reading
from agent.planners.english.relations import Relating


def read_prompt(prompt: str, any_language: bool = False) -> Reading:
    """What a prompt in English says.

    Args:
        any_language: words that look foreign are read too: a name alone, such as "the xoloitzcuintle".

    Raises:
        BadInput: it is not English, or the parser is not installed.
    """
    rewritten = rewriting.rewrite(prompt)
    parsed = parse(rewritten.text, any_language)
    naming = Naming(parsed, rewritten)
    reading = naming.reading
    naming.name_all()
    Relating(naming).relate_all()
    naming.finish()
    reading.notes += [f'"{slip}" was read as "{meant}".' for slip, meant in parsed.slips]
    reading.notes += rewritten.notes
    reading.caption = rewriting.caption_of(rewritten, naming.negated)
    reading.dropped = list(dict.fromkeys(reading.dropped))
    return reading
