"""Which flags of `make` make no sense together: those that would be ignored are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.request import CHAT, Request
from instdiff.cli import options
from instdiff.errors import BadInput

LAYOUT_FILES = (".json", ".xml", ".txt")
DECISIONS = ("approve", "replan", "reject")  # flags that answer a run that waits
CHAT_FLAGS = {option.key for option in options(Request) if option.flag.group == CHAT}
PLANNER_FLAGS = {"planner", "planner_url"} | CHAT_FLAGS


def check_combination(flags: Mapping[str, Any]) -> None:
    """Refuse flags that would be ignored."""
    if "edit" in flags:
        _check_edit(flags)
    if "thing" in flags and "repair" not in flags:
        raise BadInput("thing", "says what --repair paints anew; give the run, such as --repair latest")
    source = _source(flags)
    if source in ("resume", *DECISIONS):
        if ignored := flags.keys() - {"json", "quiet", "strict", "trust_remote_code", source}:
            reason = f"cannot be used together with --{source}, which takes everything from the run's folder"
            raise BadInput(min(ignored), reason)
    elif source == "repair":
        _check_change("repair", flags)
    elif "edit" not in flags:
        _check_start(flags)
    _check_about_file(flags)
    _check_outcome(source, flags)


def _source(flags: Mapping[str, Any]) -> str:
    """The one flag that says what is painted."""
    sources = [name for name in ("prompt", "prompts", "layout", "resume", "repair", *DECISIONS) if name in flags]
    if not sources:
        cure = 'say what to paint, such as "a cozy living room", or give --prompts, --layout, --edit or --resume'
        raise BadInput("prompt", f"is missing; {cure}")
    if len(sources) > 1:
        raise BadInput(sources[1], f"cannot be used together with {sources[0]}; give one of them")
    return sources[0]


def _check_about_file(flags: Mapping[str, Any]) -> None:
    """Refuse what says something of a file that is not given."""
    if "box_format" in flags and not {"layout", "edit"} & flags.keys():
        raise BadInput("box_format", "is about the file of --layout; give one")
    for name in ("picture", "crowd"):
        if name in flags and "layout" not in flags:
            raise BadInput(name, "is about the file of --layout; give one")


def _check_outcome(source: str, flags: Mapping[str, Any]) -> None:
    """Refuse what asks for two outcomes."""
    if "explain" in flags and ("edit" in flags or source != "prompt"):
        raise BadInput("explain", f"is about the words of a prompt; drop --{'edit' if 'edit' in flags else source}")
    for flag in ("plan-only", "strict"):
        if flag.replace("-", "_") in flags and "review" in flags:
            raise BadInput("review", f"cannot be used together with --{flag}: nothing is painted yet")
    if {"json", "quiet"} <= flags.keys():
        raise BadInput("quiet", "cannot be used together with --json; give one of them")
    if "strict" in flags and flags.get("verifier") == "none":
        raise BadInput("strict", "nothing is verified with --verifier none; drop one of them")


def _check_start(flags: Mapping[str, Any]) -> None:
    """Refuse what makes no sense where a run is started."""
    about_planner = PLANNER_FLAGS & flags.keys()
    if "layout" in flags and about_planner:
        raise BadInput(min(about_planner), "cannot be used together with --layout, which needs no planner")
    about_chat = CHAT_FLAGS & flags.keys()
    if about_chat and flags.get("planner") == "offline":
        raise BadInput(min(about_chat), "is about chat models, and the offline planner asks none; drop one of them")
    if "trust_remote_code" in flags and not flags.get("verifier", "").startswith("cogvlm"):
        raise BadInput("trust_remote_code", "is about --verifier cogvlm:MODEL@COMMIT; drop it")
    from_picture = flags.get("layout", "").lower().endswith(".png")
    if "refiner" in flags and "refine" not in flags and not from_picture:
        raise BadInput("refiner", "is about --refine; give a strength, such as --refine 0.3")


def _check_edit(flags: Mapping[str, Any]) -> None:
    """Refuse what makes no sense with --edit."""
    is_layout = Path(flags["edit"]).suffix.lower() in LAYOUT_FILES
    if is_layout and "plan_only" not in flags:
        cure = "add --plan-only, and paint what that prints with --layout"
        raise BadInput("edit", f"{flags['edit']} holds a layout and no picture; {cure}")
    wrong = {"layout", "resume", "repair"} if is_layout else {"layout", "box_format", "resume", "repair"}
    if sources := wrong & flags.keys():
        raise BadInput(min(sources), "cannot be used together with --edit, which takes its layout from a run")
    if "prompt" not in flags:
        raise BadInput("edit", 'needs words that say what to change, such as --edit RUN "add a cat on the sofa"')
    _check_change("edit", flags)


def _check_change(name: str, flags: Mapping[str, Any]) -> None:
    """Refuse what makes no sense where a picture is changed."""
    if about_planner := PLANNER_FLAGS & flags.keys():
        raise BadInput(min(about_planner), f"cannot be used together with --{name}, which needs no planner")
    if "review" in flags:
        raise BadInput("review", f"cannot be used together with --{name}; look at the change with --plan-only")
    if "size" in flags:
        raise BadInput("size", f"cannot be used together with --{name}: the picture keeps its size")
    if "plan_only" in flags and name == "repair":
        raise BadInput("plan_only", "cannot be used together with --repair, which keeps the plan")
