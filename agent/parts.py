"""Planner, engine and verifier that are handed to the agent as objects: checked at once, and missed on resuming."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.planners.plan import Planner
from agent.request import Part, Request
from evaluators.detectors import Detector
from instdiff.engine import Engine
from instdiff.errors import BadInput
from instdiff.layout import MAX_SIDE

OURS = ("agent", "evaluators", "instdiff")  # a part from these packages is loaded again by its name


class Kind(NamedTuple):
    """What a kind of part needs. Methods have the names of their arguments, in the order in which they are given."""

    protocol: type
    where: str  # to import the protocol from
    methods: dict[str, tuple[str, ...]]  # that each part writes itself
    inherited: dict[str, tuple[str, ...]] = {}  # that it may have from the protocol


KINDS: dict[Part, Kind] = {
    "planner": Kind(
        Planner,
        "agent.planners.Planner",
        {"plan": ("prompt", "size", "seed"), "revise": ("prompt", "plan", "report", "seed")},
        {"start": ("usage",), "check": ("prompt",)},
    ),
    "engine": Kind(Engine, "instdiff.engine.Engine", {"render": ("layout", "settings", "on_step")}),
    "verifier": Kind(
        Detector,
        "evaluators.detectors.Detector",
        {"canonical": ("category",), "detect": ("images", "asked", "min_score")},
        {"knows": ("category",), "ask": ("images", "questions", "iou_threshold")},
    ),
}


def is_own(part: object) -> bool:
    """True for a part of the user's: no name, and no object that a name loads as well."""
    return not isinstance(part, str) and type(part).__module__.split(".")[0] not in OURS


def name_of(part: Any) -> str:
    """The name of a part that was named or handed over."""
    return part if isinstance(part, str) else part.name


def check_part(kind: Part, part: Any) -> None:
    """Refuse an object that cannot be a part of this kind, before anything is planned or painted.

    Raises:
        BadInput: a method, one of its arguments or an attribute is missing, or cannot be used.
    """
    if isinstance(part, str):
        return
    if inspect.isclass(part):
        raise BadInput(kind, f"{part.__name__} is a class; give an object of it, such as {part.__name__}()")
    protocol, where, methods, inherited = KINDS[kind]
    owner = type(part).__name__
    for name, arguments in {**methods, **inherited}.items():
        method = getattr(part, name, None)
        is_stub = name in methods and getattr(type(part), name, None) is getattr(protocol, name)
        if not callable(method) or is_stub:
            cure = f"inherit it from {where}" if name in inherited else f"define it as {where} does"
            raise BadInput(
                kind, f"{owner} has no method {name}({', '.join(arguments)}); {cure}, or give a name instead"
            )
        _check_call(kind, f"{owner}.{name}", method, arguments)
    if kind == "engine" and hasattr(part, "repaint"):
        _check_call(kind, f"{owner}.repaint", part.repaint, ("changes", "settings", "on_step"), ("choose",))
    _check_attributes(kind, part)


def _check_call(
    kind: Part, name: str, method: Callable, arguments: tuple[str, ...], by_name: tuple[str, ...] = ()
) -> None:
    """Refuse a method that cannot be called with these arguments."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # nothing is known of a function that is not written in Python
        return
    try:
        signature.bind(*arguments, **dict.fromkeys(by_name))
    except TypeError as error:
        call = ", ".join((*arguments, *(f"{argument}=..." for argument in by_name)))
        places = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        lacking = [
            *arguments[len(places) :],
            *(argument for argument in by_name if argument not in signature.parameters),
        ]
        reason = f"it takes no {' and no '.join(lacking)}" if lacking else str(error)
        cure = f"define it as {KINDS[kind].where} does"
        raise BadInput(kind, f"{name}{signature} cannot be called with ({call}): {reason}; {cure}") from error


def _check_attributes(kind: Part, part: Any) -> None:
    """Refuse attributes that are missing or of the wrong kind."""
    owner = type(part).__name__
    where = KINDS[kind].where
    name = getattr(part, "name", None)
    if not isinstance(name, str) or not name:
        raise BadInput(kind, f'{owner}.name is {_shown(name)}; give it a text, such as name = "my-{kind}"')
    if kind == "planner" and not hasattr(part, "usage"):
        raise BadInput(kind, f"{owner} has no usage; inherit it from {where}")
    if kind == "verifier":
        for score in ("threshold", "found_score"):
            value = getattr(part, score, None)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise BadInput(kind, f"{owner}.{score} is {_shown(value)}; give it a number from 0 to 1")
    if kind == "engine":
        size = getattr(part, "native_size", None)
        is_pair = isinstance(size, tuple | list) and len(size) == 2
        if not is_pair or not all(isinstance(side, int) and 64 <= side <= MAX_SIDE for side in size or ()):
            cure = f"give it (width, height) in pixels, each 64..{MAX_SIDE}, such as (512, 512)"
            raise BadInput(kind, f"{owner}.native_size is {_shown(size)}; {cure}")


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:100]


def check_abilities(engine: Any, request: Request, preview_every: int) -> None:
    """Refuse what an own engine would need one more argument for.

    Raises:
        BadInput: its ``render`` takes no ``choose`` or no ``on_preview``.
    """
    if request.candidates > request.settings.num_images:
        cure = "take it as Engine.render says, or leave candidates at 1"
        _check_option(engine, "candidates", ("choose",), cure)
    if preview_every:
        _check_option(
            engine, "preview_every", ("on_preview", "preview_every"), "take them, or leave preview_every at 0"
        )


def _check_option(engine: Any, field: str, options: tuple[str, ...], cure: str) -> None:
    taken = inspect.signature(engine.render).parameters.values()
    names = {parameter.name for parameter in taken}
    lacking = [option for option in options if option not in names]
    if lacking and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
        raise BadInput(field, f"{type(engine).__name__}.render takes no {' and no '.join(lacking)}; {cure}")


def check_same(folder: Path, request: Request, parts: Mapping[Part, Any], call: str) -> None:
    """Refuse to go on with a run with other parts than its own ones.

    Args:
        parts: names or objects, as the agent has them.
        call: what goes on in Python, such as ``resume("outputs/RUN")``.

    Raises:
        BadInput: a part was handed over as an object when the run was started, and now it is not, or is another.
    """
    own = {kind: getattr(request, kind) for kind in request.own if kind in parts}
    if any(isinstance(parts[kind], str) for kind in own):
        names = ", ".join(f'{kind} "{name}"' for kind, name in own.items())
        given = ", ".join(f"{kind}=..." for kind in own)
        raise BadInput("run", f"{folder} has parts of your own ({names}); go on in Python: Agent({given}).{call}")
    for kind, part in parts.items():
        before = getattr(request, kind)
        if not isinstance(part, str) and before not in ("none", part.name):
            cure = "give the same one" if kind in own else "leave it out"
            raise BadInput(kind, f'{folder} was made with "{before}", and this is "{part.name}"; {cure}')
