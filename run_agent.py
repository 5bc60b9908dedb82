"""From a sentence to a verified picture: ``python run_agent.py "a cozy living room"``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from instdiff.cli import Parser
from instdiff.errors import BadInput, InstDiffError, ServiceError, printable
from instdiff.render_settings import PRESETS

DONE = 0
BAD_INPUT = 2
NOT_VERIFIED = 3
SERVICE_FAILED = 4
INTERRUPTED = 130

# Flag and the field of RenderSettings that it sets.
SETTINGS = {
    "seed": "seed",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "alpha": "alpha",
    "mis": "mis",
    "images": "num_images",
    "preset": "preset",
    "refine": "cascade_strength",
}
SET_BY_PRESET = ("num_inference_steps", "scheduler", "guidance_every", "inner_every")

DECISIONS = ("approve", "replan", "reject")  # flags that answer a run that waits
LOOKS = ("verifier_url", "verifier_dialect")  # flags that are options of the verifier

EXAMPLES = """\
examples:
  python run_agent.py "a cozy living room"
  python run_agent.py "two dogs on the left of a red car" --seed 3 --images 2
  python run_agent.py "a kitchen" --planner openai:gpt-4o          (needs OPENAI_API_KEY)
  python run_agent.py "a kitchen" --planner ollama:llama3.1        (needs a running Ollama)
  python run_agent.py "a kitchen" --planner llama:model.gguf       (needs pip install -e ".[llama]")
  python run_agent.py "a kitchen" --plan-only > kitchen.json       then edit it, and
  python run_agent.py --layout kitchen.json                        paint what is in the file
  python run_agent.py --layout outputs/RUN/best.png                paint a picture again, exactly
  python run_agent.py --layout outputs/RUN/best.png --steps 50     the same with more steps
  python run_agent.py "a kitchen" --preset fast                    about twice as fast, nearly as good
  python run_agent.py "a kitchen" --engine sd15 --refine 0.3       finer detail from the SDXL refiner
  python run_agent.py --resume outputs/RUN                         go on after a kill
  python run_agent.py "a kitchen" --review                         stop after the plan, then
  python run_agent.py --approve outputs/RUN                        paint it (or --replan, --reject)
  python run_agent.py --edit outputs/RUN "add a cat on the sofa"   change the picture, and nothing else in it
  python run_agent.py --edit latest "remove the lamp, make the sofa red and move the table to the left"

edits: add, remove, replace, move, swap things, make them larger, smaller or of another colour; several in one sentence

exit codes: 0 done, 2 bad input, 3 not verified with --strict, 4 a needed service failed
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line. What is not given is absent from the namespace, so that what is given can be told."""
    parser = Parser(
        prog="run_agent.py",
        description=(
            "A scene in words becomes a layout, the layout a picture, and the picture is checked against the layout."
        ),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="the scene in words")
    what = parser.add_argument_group("instead of a prompt")
    what.add_argument(
        "--layout", metavar="FILE", help="paint this layout: InstanceDiffusion JSON, or a picture painted here"
    )
    boxes = "what bbox holds in the JSON file (default: auto, which tells both apart or refuses)"
    what.add_argument("--box-format", choices=("auto", "xywh", "corners"), help=boxes)
    what.add_argument(
        "--resume", metavar="RUN", help="go on with a run that was stopped; takes everything from its folder"
    )
    what.add_argument("--approve", metavar="RUN", help="paint the plan of a run that --review left waiting")
    what.add_argument("--replan", metavar="RUN", help="have that plan made again, with another seed; it waits again")
    what.add_argument("--reject", metavar="RUN", help="end that run; nothing is painted")
    edits = "the prompt says what to change in the best picture of this run, or of the latest one"
    what.add_argument(
        "--edit", metavar="RUN|latest", help=f"{edits}; layout, noise and settings are taken from its folder"
    )
    who = parser.add_argument_group("who does it")
    planners = (
        "auto, offline, openai:MODEL, ollama:MODEL, chat:MODEL or llama:FILE.gguf (default: auto: openai:gpt-4o if"
        " there is a"
    )
    who.add_argument("--planner", metavar="NAME", help=f"{planners} key, and offline where there is none or it fails)")
    who.add_argument("--planner-url", metavar="URL", help="an OpenAI-compatible endpoint for the planner")
    who.add_argument("--engine", metavar="NAME", help="what paints (default: draft, the bundled model)")
    verifiers = (
        "the detector that looks at the picture: draft, yolo[:FILE.pt], owlv2[:MODEL], grounding-dino[:MODEL],"
        " vlm:MODEL,"
    )
    default = (
        "(default: draft for pictures of the draft engine, else owlv2 or grounding-dino if its weights are on this"
        " machine)"
    )
    who.add_argument("--verifier", metavar="NAME", help=f"{verifiers} cogvlm:MODEL@COMMIT, or none {default}")
    who.add_argument(
        "--verifier-url", metavar="URL", help="an OpenAI-compatible endpoint for vlm:MODEL; key: INSTDIFF_VERIFIER_KEY"
    )
    who.add_argument(
        "--verifier-dialect",
        metavar="D",
        help="how that model writes boxes, if its name does not tell: json, qwen-1000, ...",
    )
    who.add_argument("--trust-remote-code", action="store_true", help="let the code run that comes with cogvlm")
    who.add_argument(
        "--rounds", type=int, metavar="N", help="paint at most so often (default: 3; 1 for --layout PICTURE and --edit)"
    )
    _add_chat_flags(parser.add_argument_group("how a chat model plans"))
    how = parser.add_argument_group("how to paint")
    how.add_argument("--size", metavar="WxH", help="pixels, or one number for a square (default: the engine's own)")
    how.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same picture (default: 0)")
    how.add_argument("--steps", type=int, metavar="N", help="denoising steps")
    how.add_argument("--guidance", type=float, metavar="X", help="strength of classifier-free guidance")
    how.add_argument("--alpha", type=float, metavar="0..1", help="fraction of steps with grounding")
    how.add_argument("--mis", type=float, metavar="0..1", help="fraction of steps with the Multi-Instance Sampler")
    how.add_argument("--images", type=int, metavar="N", help="pictures per round; the best is kept (default: 1)")
    presets = "exact, or faster and less exact: cached, fast, turbo (default: exact)"
    how.add_argument("--preset", choices=tuple(PRESETS), help=presets)
    how.add_argument(
        "--refine",
        type=float,
        metavar="0..1",
        help="refine each picture with the SDXL refiner, so strongly (0.3 is usual)",
    )
    how.add_argument(
        "--refiner", metavar="FOLDER", help="the refiner's folder (default: the SDXL refiner, if it is on this machine)"
    )
    shown = parser.add_argument_group("what comes out")
    shown.add_argument(
        "--review", action="store_true", help="stop after the plan and wait for --approve, --replan or --reject"
    )
    shown.add_argument("--out", metavar="FOLDER", help="gets a new folder for the run (default: outputs)")
    shown.add_argument("--plan-only", action="store_true", help="print the layout as JSON and paint nothing")
    shown.add_argument("--json", action="store_true", help="print one JSON object on stdout, progress on stderr")
    shown.add_argument("--strict", action="store_true", help="exit with 3 if the picture is not verified")
    return parser


def _add_chat_flags(chat: argparse._ArgumentGroup) -> None:
    ways = "scene: things in metres, which our camera places (default); boxes: the model places them"
    chat.add_argument("--planning", choices=("scene", "boxes"), help=ways)
    chat.add_argument(
        "--no-cache", action="store_true", help="ask anew; answers are kept in ~/.cache/instdiff, or in INSTDIFF_CACHE"
    )
    chat.add_argument(
        "--max-tokens", type=int, metavar="N", help="stop before a run takes more tokens, prompts and answers together"
    )
    chat.add_argument(
        "--max-usd", type=float, metavar="X", help="stop before a run costs more dollars; for models of known price"
    )


def main(argv: list[str] | None = None) -> int:
    """Parse, call, show; the exit code is returned."""
    folder: list[Path] = []
    try:
        given = vars(build_parser().parse_args(argv))
        _check_combination(given)
        return _plan_only(given) if given.get("plan_only") else _run(given, folder)
    except ServiceError as error:
        return _fail(f"error: {error}{_how_to_go_on(folder)}", SERVICE_FAILED)
    except InstDiffError as error:
        return _fail(f"error: {error}", BAD_INPUT)
    except OSError as error:  # a full disk, a folder that may not be written, a file of the run that is gone
        return _fail(
            f"error: {error.filename or 'output'}: {error.strerror or error}{_how_to_go_on(folder)}", BAD_INPUT
        )
    except KeyboardInterrupt:
        return _fail(f"stopped{_how_to_go_on(folder)}", INTERRUPTED)


def _check_combination(given: dict) -> None:
    """Refuse flags that would be ignored."""
    if "edit" in given:
        _check_edit(given)
    sources = [name for name in ("prompt", "layout", "resume", *DECISIONS) if name in given]
    if not sources:
        raise BadInput(
            "prompt",
            'is missing; say what is on the picture, such as "a cozy living room", or give --layout, --edit or'
            " --resume",
        )
    if len(sources) > 1:
        raise BadInput(sources[1], f"cannot be used together with {sources[0]}; give one of them")
    alone = {"json", "strict", "trust_remote_code"}
    goes_on = next((name for name in ("resume", *DECISIONS) if name in given), None)
    if goes_on and not given.keys() <= alone | {goes_on}:
        flag = sorted(given.keys() - alone - {goes_on})[0]
        raise BadInput(flag, f"cannot be used together with --{goes_on}, which takes everything from the run's folder")
    chat = {"planning", "no_cache", "max_tokens", "max_usd"} & given.keys()
    if "layout" in given and (flags := {"planner", "planner_url"} & given.keys() | chat):
        raise BadInput(min(flags), "cannot be used together with --layout, which needs no planner")
    if chat and given.get("planner") == "offline":
        raise BadInput(min(chat), "is about chat models, and the offline planner asks none; drop one of them")
    if "box_format" in given and "layout" not in given:
        raise BadInput("box_format", "is about the file of --layout; give one")
    started = not {"edit"} & given.keys() and not goes_on
    if started and "trust_remote_code" in given and not given.get("verifier", "").startswith("cogvlm"):
        raise BadInput("trust_remote_code", "is about --verifier cogvlm:MODEL@COMMIT; drop it")
    if flags := {"strict", "plan_only"} & given.keys() if "review" in given else set():
        raise BadInput(
            "review", f"cannot be used together with --{min(flags).replace('_', '-')}: nothing is painted yet"
        )
    if (
        "refiner" in given
        and "refine" not in given
        and started
        and not given.get("layout", "").lower().endswith(".png")
    ):
        raise BadInput("refiner", "is about --refine; give a strength, such as --refine 0.3")
    if "strict" in given and given.get("verifier") == "none":
        raise BadInput("strict", "nothing is verified with --verifier none; drop one of them")


def _check_edit(given: dict) -> None:
    """Refuse what makes no sense with --edit."""
    if others := {"layout", "box_format", "resume"} & given.keys():
        raise BadInput(min(others), "cannot be used together with --edit, which takes its layout from a run")
    if "prompt" not in given:
        raise BadInput("edit", 'needs words that say what to change, such as --edit RUN "add a cat on the sofa"')
    if flags := {"planner", "planner_url", "planning", "no_cache", "max_tokens", "max_usd"} & given.keys():
        raise BadInput(min(flags), "cannot be used together with --edit, which needs no planner")
    if "review" in given:
        raise BadInput("review", "cannot be used together with --edit; look at the change with --plan-only")
    if "size" in given:
        raise BadInput("size", "cannot be used together with --edit: noise of another size is another picture")


def _run(given: dict, folder: list[Path]) -> int:
    """Run or resume. ``folder`` gets the run's folder as soon as there is one."""
    from rich.console import Console

    from agent.console import Display
    from agent.events import Started

    as_json = given.get("json", False)
    with Display(Console(stderr=as_json)) as display:

        def on_event(event) -> None:
            if isinstance(event, Started):
                folder.append(event.folder)
            display(event)

        run = _start(given, on_event)
    if as_json:
        print(json.dumps(run.summary()))
    return NOT_VERIFIED if given.get("strict") and not run.verified else DONE


def _start(given: dict, on_event):
    """Hand what was given to the agent, and return the finished run."""
    from agent.loop import Agent

    if "resume" in given:
        return Agent(on_event=on_event, trust_remote_code=given.get("trust_remote_code", False)).resume(given["resume"])
    for decision in DECISIONS:
        if decision in given:
            return _answer(given, decision, on_event)
    if "edit" in given:
        return _edit(given, on_event)
    layout, stored = _read_layout(given)
    agent = _agent(given, stored, on_event)
    if agent.verifier_note:
        print(f"note: {agent.verifier_note}", file=sys.stderr)
    run = agent.run(prompt=given.get("prompt"), layout=layout)
    if stored and stored.get("model_hash") != run.model_hash:
        print(
            f"note: {given['layout']} was painted by another version of the model; the new picture differs",
            file=sys.stderr,
        )
    return run


def _answer(given: dict, decision: str, on_event):
    """Go on with a run that waits."""
    from agent.loop import Agent
    from agent.runs import Answer

    agent = Agent(on_event=on_event, trust_remote_code=given.get("trust_remote_code", False))
    return agent.resume(given[decision], Answer(decision=decision))


def _edit(given: dict, on_event):
    """Paint what the words make of an earlier run; flags that are given replace what that run had."""
    from agent.edit import source
    from agent.loop import Agent

    start = source(given["edit"], given.get("out", "outputs"))
    looks = (
        {"verifier_url": None, "verifier_dialect": None} if "verifier" in given else {}
    )  # those of the other verifier
    changes = looks | {
        name: given[name] for name in ("engine", "refiner", "verifier", *LOOKS, "rounds") if name in given
    }
    agent = Agent(on_event=on_event, **{name: given[name] for name in ("out", "trust_remote_code") if name in given})
    return agent.edit(start, given["prompt"], settings=_settings(given, dict(start.settings)), **changes)


def _plan_only(given: dict) -> int:
    from instdiff.formats import layout_to_json

    if "edit" in given:
        from agent.edit import edited, source

        plan = edited(source(given["edit"], given.get("out", "outputs")).plan, given["prompt"])
    else:
        layout, stored = _read_layout(given)
        plan = _agent(given, stored).plan(prompt=given.get("prompt"), layout=layout)
    print(json.dumps(layout_to_json(plan.layout), indent=2, ensure_ascii=False))
    for note in (f"planner: {plan.planner}", *plan.notes):
        print(printable(note), file=sys.stderr)
    return DONE


def _read_layout(given: dict) -> tuple:
    """The layout that was given and, if it came with a picture, the settings of that picture: (None, {}) without one."""
    if "layout" not in given:
        return None, {}
    from instdiff.formats import read_png
    from instdiff.layout import Layout

    path = Path(given["layout"])
    if path.suffix.lower() == ".png":
        return read_png(path)
    return Layout.from_file(path, given.get("box_format", "auto")), {}


def _agent(given: dict, stored: dict, on_event=None):
    """The agent for what was given; a picture's stored settings fill in what was not."""
    from agent.loop import Agent
    from agent.runs import parse_size

    names = (
        "planner",
        "planner_url",
        "planning",
        "max_tokens",
        "max_usd",
        "engine",
        "refiner",
        "verifier",
        *LOOKS,
        "rounds",
        "out",
    )
    options = {name: given[name] for name in (*names, "trust_remote_code", "review") if name in given} | {
        "cache": not given.get("no_cache", False)
    }
    if stored:
        options = {"engine": str(stored.get("engine", "draft")), "rounds": 1, **options}
    if "size" in given:
        options["size"] = parse_size(given["size"])
    return Agent(**options, settings=_settings(given, stored), on_event=on_event)


def _settings(given: dict, stored: dict):
    """Validated render settings; errors speak of flags."""
    from instdiff.render_settings import RenderSettings

    values = {field: stored[field] for field in RenderSettings.model_fields if field in stored}
    before = values.get("preset", "exact")
    if given.get("preset", before) != before:  # another preset chooses anew
        values = {field: value for field, value in values.items() if field not in SET_BY_PRESET}
    values |= {field: given[flag] for flag, field in SETTINGS.items() if flag in given}
    try:
        return RenderSettings.parse(values)
    except BadInput as error:
        flag = next((flag for flag, field in SETTINGS.items() if field == error.field), error.field)
        raise BadInput(flag, f"{error.reason}, and it is {str(values.get(error.field))[:100]}") from error


def _how_to_go_on(folder: list[Path]) -> str:
    return f"; go on with: python run_agent.py --resume {folder[0]}" if folder else ""


def _fail(message: str, code: int) -> int:
    print(printable(message), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
