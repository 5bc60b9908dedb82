"""From flags to runs: what `make`, `plan`, `edit`, `repair` and `review` have in common.

Flags are a dictionary, as the parser of `make` gives it: what was not given is absent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.commands.combinations import DECISIONS, LAYOUT_FILES, check_combination
from agent.planners import check_planner
from agent.request import AUTO, Request
from evaluators.detectors import check_detector
from instdiff import cli
from instdiff.cli import given_values, parse_values, program
from instdiff.engine import engine_info
from instdiff.errors import printable
from instdiff.render_settings import RenderSettings

if TYPE_CHECKING:  # the loop, the grammar and the formats are loaded where they work
    from agent.events import Event
    from agent.loop import Agent, OnEvent
    from agent.planners.plan import Plan
    from agent.runs import Run
    from instdiff.layout import Layout

SET_BY_PRESET = ("num_inference_steps", "scheduler", "guidance_every", "inner_every")


def carry_out(read_flags: Callable[[], Mapping[str, Any]]) -> int:
    """Read the flags and do what they ask for; returns the exit code."""
    folders: list[Path] = []  # of the run, as soon as there is one

    def work() -> int:
        flags = read_flags()
        check_combination(flags)
        _check_names(flags)
        if "prompts" in flags:
            from agent.batch import run_flags

            return run_flags(flags)
        if "explain" in flags:
            return _explain(flags)
        return _plan_only(flags) if flags.get("plan_only") else _run(flags, folders)

    return cli.exit_code(work, lambda: f"; go on with: {program()} make --resume {folders[0]}" if folders else "")


def _check_names(flags: Mapping[str, Any]) -> None:
    """Refuse values and names that cannot be used, as the agent does, but before it is loaded."""
    asked = parse_values(Request, given_values(Request, flags))
    if "engine" in flags:
        engine_info(asked.engine)
    if "planner" in flags:
        check_planner(asked.planner)
    if asked.verifier not in (AUTO, "none"):
        trust = flags.get("trust_remote_code", False)
        check_detector(asked.verifier, asked.verifier_url, asked.verifier_dialect, trust)


def _run(flags: Mapping[str, Any], folders: list[Path]) -> int:
    """Run or resume. ``folders`` gets the run's folder as soon as there is one."""
    from rich.console import Console

    from agent.console import Display
    from agent.events import Started

    as_json = flags.get("json", False)
    is_quiet = flags.get("quiet", False)
    with Display(Console(stderr=as_json, quiet=is_quiet)) as display:

        def on_event(event: Event) -> None:
            if isinstance(event, Started):
                folders.append(event.folder)
            display(event)

        run = _start(flags, on_event)
    if as_json:
        print(json.dumps(run.summary()))
    elif is_quiet and run.best:
        print(run.image)
    return cli.NOT_VERIFIED if flags.get("strict") and not run.verified else cli.DONE


def _start(flags: Mapping[str, Any], on_event: OnEvent) -> Run:
    """Hand what was asked for to the agent, and return the finished run."""
    from agent.runs import Answer

    for name in ("resume", *DECISIONS):
        if name in flags:
            answer = None if name == "resume" else Answer.parse({"decision": name})
            return _agent(flags, on_event=on_event).resume(flags[name], answer)
    if "edit" in flags or "repair" in flags:
        return _change(flags, on_event)
    layout, stored = _read_layout(flags)
    agent = _agent(flags, build_request(flags, stored), on_event)
    if agent.verifier_note:
        print(f"note: {agent.verifier_note}", file=sys.stderr)
    run = agent.run(flags.get("prompt"), layout)
    if stored and stored.get("model_hash") != run.model_hash:
        note = "was painted by another version of the model; the new picture differs"
        print(f"note: {flags['layout']} {note}", file=sys.stderr)
    if "changed_from" in stored:
        print(f"note: {flags['layout']} was mended in parts; painted as a whole it differs", file=sys.stderr)
    return run


def _change(flags: Mapping[str, Any], on_event: OnEvent) -> Run:
    """Change an earlier picture; flags that are given replace what its run had."""
    from agent.edit import source

    changes = given_values(Request, flags)
    place = str(flags.get("edit", flags.get("repair")))
    if "edit" in flags and Path(place).is_file():  # a picture of any origin
        agent = _agent(flags, build_request(flags, {}), on_event)
        return agent.edit(place, flags["prompt"], **changes)
    start = source(place, flags.get("out", "outputs"))
    if "verifier" in changes:  # the other verifier had these
        changes = {"verifier_url": None, "verifier_dialect": None, **changes}
    asked = {"settings": _settings(changes.get("settings", {}), dict(start.settings))}
    changes["settings"] = parse_values(Request, asked).settings
    agent = _agent(flags, on_event=on_event)
    if "repair" in flags:
        if flags.get("thing") and "seed" not in flags:
            del changes["settings"]  # other noise than that of the picture
        run = agent.repair(start, flags.get("thing", ()), **changes)
    else:
        run = agent.edit(start, flags["prompt"], **changes)
    if agent.verifier_note:
        print(f"note: {agent.verifier_note}", file=sys.stderr)
    return run


def _explain(flags: Mapping[str, Any]) -> int:
    from agent.planners.explaining import explain  # the parser is loaded where it is used

    explanation = explain(flags["prompt"])
    if flags.get("json"):
        things = [dict(zip(explanation.columns, row, strict=True)) for row in explanation.things]
        print(json.dumps({"prompt": flags["prompt"], "things": things, "reading": explanation.sentences}, indent=2))
        return cli.DONE
    from rich.console import Console

    from agent.console import show_reading

    show_reading(Console(), explanation)
    return cli.DONE


def _plan_only(flags: Mapping[str, Any]) -> int:
    from instdiff.formats import layout_to_json, save_layout

    if "edit" in flags:
        from agent.edit import edit_plan

        plan = edit_plan(_plan_to_edit(flags), flags["prompt"])
    else:
        layout, stored = _read_layout(flags)
        plan = _agent(flags, build_request(flags, stored)).plan(flags.get("prompt"), layout)
    if file := flags.get("plan_file"):
        save_layout(plan.layout, file)
        print(f"{file}: the plan; paint it with: {program()} make --layout {file}", file=sys.stderr)
    else:
        print(json.dumps(layout_to_json(plan.layout), indent=2, ensure_ascii=False))
    for note in (f"planner: {plan.planner}", *plan.notes):
        print(printable(note), file=sys.stderr)
    return cli.DONE


def _plan_to_edit(flags: Mapping[str, Any]) -> Plan:
    """The plan of a run, or the layout of a file: a layout file, or a picture painted here."""
    from agent.edit import source
    from agent.planners.plan import Plan
    from instdiff.formats import load_layout, read_png

    path = Path(flags["edit"])
    if path.suffix.lower() not in (*LAYOUT_FILES, ".png"):
        return source(path, flags.get("out", "outputs")).plan
    is_png = path.suffix.lower() == ".png"
    layout = read_png(path)[0] if is_png else load_layout(path, flags.get("box_format", "auto"))
    return Plan(layout=layout, planner="none")


def _read_layout(flags: Mapping[str, Any]) -> tuple[Layout | None, dict[str, Any]]:
    """The layout that was given, or None, and the settings of the picture that it came with, if it did."""
    if "layout" not in flags:
        return None, {}
    from instdiff.formats import load_layout, read_png

    path = Path(flags["layout"])
    if path.suffix.lower() == ".png" and "picture" not in flags:
        return read_png(path)
    return load_layout(path, flags.get("box_format", "auto"), flags.get("picture"), flags.get("crowd", "auto")), {}


def _agent(flags: Mapping[str, Any], request: Request | None = None, on_event: OnEvent | None = None) -> Agent:
    from agent.loop import Agent

    trust = flags.get("trust_remote_code", False)
    return Agent(request, out=flags.get("out", "outputs"), on_event=on_event, trust_remote_code=trust)


def build_request(flags: Mapping[str, Any], stored: Mapping[str, Any]) -> Request:
    """What is asked for; the stored settings of a picture fill in what was not given."""
    values = given_values(Request, flags)
    if stored:
        values = {"engine": str(stored.get("engine", "draft")), "rounds": 1, **values}
    values["settings"] = _settings(values.get("settings", {}), stored)
    return parse_values(Request, values)


def _settings(asked: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `RenderSettings`: what is asked for, and else what is stored."""
    before = {field: stored[field] for field in RenderSettings.model_fields if field in stored}
    preset = before.get("preset", "exact")
    if asked.get("preset", preset) != preset:  # another preset chooses anew
        before = {field: value for field, value in before.items() if field not in SET_BY_PRESET}
    return {**before, **asked}
