"""From a sentence to a verified picture: ``python run_agent.py "a cozy living room"``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from agent.console import Display, show_reading
from agent.edit import edit_plan, source
from agent.edit.photographs import is_picture
from agent.events import Event, Started
from agent.loop import Agent, OnEvent
from agent.planners.plan import Plan
from agent.request import CHAT, OUTCOME, PROGRAM, WORKERS, Request
from agent.runs import Answer, Run
from instdiff import cli
from instdiff.cli import Parser, add_options, given_values, options, output_folder, parse_values
from instdiff.errors import BadInput, printable
from instdiff.formats import layout_to_json, load_layout, read_png
from instdiff.formats.coco_file import CROWD_HELP, Crowd
from instdiff.layout import Layout
from instdiff.render_settings import RenderSettings

SET_BY_PRESET = ("num_inference_steps", "scheduler", "guidance_every", "inner_every")
LAYOUT_FILES = (".json", ".xml", ".txt")
DECISIONS = ("approve", "replan", "reject")  # flags that answer a run that waits
CHAT_FLAGS = {option.key for option in options(Request) if option.flag.group == CHAT}
PLANNER_FLAGS = {"planner", "planner_url"} | CHAT_FLAGS

EXAMPLES = """\
examples:
  python run_agent.py "a cozy living room"
  python run_agent.py "two dogs on the left of a red car" --seed 3 --images 2
  python run_agent.py "a kitchen" --planner openai:gpt-4o          (needs OPENAI_API_KEY)
  python run_agent.py "a kitchen" --planner ollama:llama3.1        (needs a running Ollama)
  python run_agent.py "a kitchen" --planner llama:model.gguf       (needs pip install -e ".[llama]")
  python run_agent.py "two cats and a boy on a phone" --explain    how the words are read, and nothing painted
  python run_agent.py "a kitchen" --plan-only > kitchen.json       then edit it, and
  python run_agent.py --layout kitchen.json                        paint what is in the file
  python run_agent.py --layout annotations.xml --picture 7.jpg     paint what CVAT knows of a picture
  python run_agent.py --layout outputs/RUN/best.png                paint a picture again, exactly
  python run_agent.py --layout outputs/RUN/best.png --steps 50     the same with more steps
  python run_agent.py "a kitchen" --preset fast                    about twice as fast, nearly as good
  python run_agent.py "a kitchen" --engine sd15 --refine 0.3       finer detail from the SDXL refiner
  python run_agent.py --resume outputs/RUN                         go on after a kill
  python run_agent.py "a kitchen" --review                         stop after the plan, then
  python run_agent.py --approve outputs/RUN                        paint it (or --replan, --reject)
  python run_agent.py --edit outputs/RUN "add a cat on the sofa"   change the picture, and nothing else in it
  python run_agent.py --edit latest "remove the lamp, make the sofa red and move the table to the left"
  python run_agent.py --edit photo.jpg "make the car blue"         change a picture of your own
  python run_agent.py --edit kitchen.json "swap the cup and the bowl" --plan-only      change a layout, paint nothing
  python run_agent.py --repair latest                              paint anew what failed, and keep the rest
  python run_agent.py --repair outputs/RUN --thing lamp            paint the lamp anew: you do not like it

edits: add, remove, replace, move, swap things, make them larger, smaller or of another colour; several in one sentence

exit codes: 0 done, 2 bad input, 3 not verified with --strict, 4 a needed service failed
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line. What is not given is absent from the namespace."""
    parser = Parser(
        prog="run_agent.py",
        description="A scene in words becomes a layout, the layout a picture, which is checked against the layout.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="the scene in words")
    start = parser.add_argument_group("instead of a prompt")
    files = (
        "InstanceDiffusion JSON, a picture painted here, or COCO, CVAT, Datumaro, FiftyOne, Label Studio, labelme, YOLO"
    )
    start.add_argument("--layout", metavar="FILE", help=f"paint this: {files}")
    start.add_argument("--picture", metavar="NAME", help="which picture of such a file with many: its file name or id")
    start.add_argument("--crowd", choices=get_args(Crowd), help=f"{CROWD_HELP}; of COCO in --layout")
    boxes = "what bbox holds in the JSON file (default: auto, which tells both apart or refuses)"
    start.add_argument("--box-format", choices=("auto", "xywh", "corners"), help=boxes)
    start.add_argument("--resume", metavar="RUN", help="go on with a stopped run; its folder says all that was asked")
    start.add_argument("--approve", metavar="RUN", help="paint the plan of a run that --review left waiting")
    start.add_argument("--replan", metavar="RUN", help="have that plan made again, with another seed; it waits again")
    start.add_argument("--reject", metavar="RUN", help="end that run; nothing is painted")
    edits = "the prompt says what to change in the best picture of this run, of the latest one, or in a file"
    start.add_argument("--edit", metavar="RUN|latest|FILE", help=f"{edits}; every pixel elsewhere stays as it is")
    repairs = "paint anew what failed on the best picture of this run, or of the latest one, and keep the rest"
    start.add_argument("--repair", metavar="RUN|latest", help=repairs)
    wrong = "with --repair: what is wrong, by its name in the plan (lamp) or with its number (lamp 2); repeatable"
    start.add_argument("--thing", metavar="NAME", action="append", help=wrong)
    groups = add_options(parser, Request)
    trust = "let the code run that comes with cogvlm"
    groups[WORKERS].add_argument("--trust-remote-code", action="store_true", help=trust)
    outcome = groups[OUTCOME]
    folder = "gets a new folder for the run (default: outputs)"
    outcome.add_argument("--out", metavar="FOLDER", type=output_folder, help=folder)
    outcome.add_argument("--plan-only", action="store_true", help="print the layout as JSON and paint nothing")
    explain = "show how the offline planner reads the words: things, relations, what is left out and why; paint nothing"
    outcome.add_argument("--explain", action="store_true", help=explain)
    outcome.add_argument("--json", action="store_true", help="print one JSON object on stdout, progress on stderr")
    outcome.add_argument("--strict", action="store_true", help="exit with 3 if the picture is not verified")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Parse, call, show; the exit code is returned."""
    folders: list[Path] = []  # of the run, as soon as there is one

    def work() -> int:
        flags = vars(build_parser().parse_args(argv))
        _check_combination(flags)
        if "explain" in flags:
            return _explain(flags)
        return _plan_only(flags) if flags.get("plan_only") else _run(flags, folders)

    return cli.exit_code(work, lambda: f"; go on with: {PROGRAM} --resume {folders[0]}" if folders else "")


def _check_combination(flags: Mapping[str, Any]) -> None:
    """Refuse flags that would be ignored."""
    if "edit" in flags:
        _check_edit(flags)
    if "thing" in flags and "repair" not in flags:
        raise BadInput("thing", "says what --repair paints anew; give the run, such as --repair latest")
    sources = [name for name in ("prompt", "layout", "resume", "repair", *DECISIONS) if name in flags]
    if not sources:
        cure = 'say what is on the picture, such as "a cozy living room", or give --layout, --edit or --resume'
        raise BadInput("prompt", f"is missing; {cure}")
    if len(sources) > 1:
        raise BadInput(sources[1], f"cannot be used together with {sources[0]}; give one of them")
    if sources[0] in ("resume", *DECISIONS):
        if ignored := flags.keys() - {"json", "strict", "trust_remote_code", sources[0]}:
            reason = f"cannot be used together with --{sources[0]}, which takes everything from the run's folder"
            raise BadInput(min(ignored), reason)
    elif "repair" in flags:
        _check_change("repair", flags)
    elif "edit" not in flags:
        _check_start(flags)
    if "box_format" in flags and not {"layout", "edit"} & flags.keys():
        raise BadInput("box_format", "is about the file of --layout; give one")
    if "picture" in flags and "layout" not in flags:
        raise BadInput("picture", "is about the file of --layout; give one")
    if "crowd" in flags and "layout" not in flags:
        raise BadInput("crowd", "is about the file of --layout; give one")
    if "explain" in flags and ("edit" in flags or sources != ["prompt"]):
        raise BadInput("explain", f"is about the words of a prompt; drop --{'edit' if 'edit' in flags else sources[0]}")
    for flag in ("plan-only", "strict"):
        if flag.replace("-", "_") in flags and "review" in flags:
            raise BadInput("review", f"cannot be used together with --{flag}: nothing is painted yet")
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


def _run(flags: Mapping[str, Any], folders: list[Path]) -> int:
    """Run or resume. ``folders`` gets the run's folder as soon as there is one."""
    from rich.console import Console

    as_json = flags.get("json", False)
    with Display(Console(stderr=as_json)) as display:

        def on_event(event: Event) -> None:
            if isinstance(event, Started):
                folders.append(event.folder)
            display(event)

        run = _start(flags, on_event)
    if as_json:
        print(json.dumps(run.summary()))
    return cli.NOT_VERIFIED if flags.get("strict") and not run.verified else cli.DONE


def _start(flags: Mapping[str, Any], on_event: OnEvent) -> Run:
    """Hand what was asked for to the agent, and return the finished run."""
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
    changes = given_values(Request, flags)
    place = str(flags.get("edit", flags.get("repair")))
    if is_picture(place) and "edit" in flags:
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

    show_reading(Console(), explanation)
    return cli.DONE


def _plan_only(flags: Mapping[str, Any]) -> int:
    if "edit" in flags:
        plan = edit_plan(_plan_to_edit(flags), flags["prompt"])
    else:
        layout, stored = _read_layout(flags)
        plan = _agent(flags, build_request(flags, stored)).plan(flags.get("prompt"), layout)
    print(json.dumps(layout_to_json(plan.layout), indent=2, ensure_ascii=False))
    for note in (f"planner: {plan.planner}", *plan.notes):
        print(printable(note), file=sys.stderr)
    return cli.DONE


def _plan_to_edit(flags: Mapping[str, Any]) -> Plan:
    """The plan of a run, or the layout of a file: a layout file, or a picture painted here."""
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
    path = Path(flags["layout"])
    if path.suffix.lower() == ".png" and "picture" not in flags:
        return read_png(path)
    return load_layout(path, flags.get("box_format", "auto"), flags.get("picture"), flags.get("crowd", "auto")), {}


def _agent(flags: Mapping[str, Any], request: Request | None = None, on_event: OnEvent | None = None) -> Agent:
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


if __name__ == "__main__":
    sys.exit(main())
