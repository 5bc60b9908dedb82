"""What a run is asked for: the one object that command line, form and the line to repeat a run are made of."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from instdiff.cli import Flag, options, to_arguments
from instdiff.errors import BadInput
from instdiff.formats.fields import mapping, text
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import MAX_SIDE, Box
from instdiff.render_settings import PAINTING, RenderSettings
from instdiff.values import Fraction, Value

PROGRAM = "instdiff-agent make"
MAX_ROUNDS = 20
MAX_PROMPT = 8000
AUTO = "auto"  # planner and verifier are chosen by what is there
WORKERS = "who does it"  # headings of the flags in helps
CHAT = "how a chat model plans"
OUTCOME = "what comes out"


def parse_size(text: str) -> tuple[int, int]:
    """``"640x384"`` or ``"512"`` as (width, height) in pixels.

    Raises:
        BadInput: it is neither, or a side is outside 64..4096.
    """
    numbers = re.fullmatch(r"([0-9]{1,5})(?:[xX]([0-9]{1,5}))?", text.strip())
    if not numbers:
        cure = "give WIDTHxHEIGHT in pixels, such as 640x384, or one number for a square"
        raise BadInput("size", f'"{text}" is no size; {cure}')
    width = int(numbers[1])
    height = int(numbers[2] or numbers[1])
    if not all(64 <= side <= MAX_SIDE for side in (width, height)):
        raise BadInput("size", f"{width}x{height} is outside 64..{MAX_SIDE} pixels a side")
    return width, height


PLANNERS = ("auto", "offline", "openai:gpt-4o", "ollama:llama3.1")  # to choose from in the form
VERIFIERS = ("auto", "draft", "owlv2", "grounding-dino", "yolo", "none")
PlannerName = Annotated[str, Flag("NAME", group=WORKERS, label="Planner", examples=PLANNERS)]
VerifierName = Annotated[str, Flag("NAME", group=WORKERS, label="Verifier", examples=VERIFIERS)]
Rounds = Annotated[int, Field(ge=1, le=MAX_ROUNDS), Flag("N", group=WORKERS, label="Rounds at most")]
Size = Annotated[tuple[int, int] | None, Flag("WxH", group=PAINTING, read=parse_size, label="Size in pixels")]


class Options(Value):
    """What runs and datasets are both asked for."""

    planner: PlannerName = Field(
        default=AUTO,
        description=(
            "auto, offline, openai:MODEL, ollama:MODEL, chat:MODEL or llama:FILE.gguf (default: auto: openai:gpt-4o if"
            " there is a key, and offline where there is none or it fails)"
        ),
    )
    planner_url: Annotated[str | None, Flag("URL", group=WORKERS)] = Field(
        default=None, description="an OpenAI-compatible endpoint for the planner"
    )
    engine: Annotated[str, Flag("NAME", group=WORKERS, label="Engine", examples=("draft", "sd15"))] = Field(
        default="draft", description="what paints (default: draft, the bundled model)"
    )
    verifier: VerifierName = Field(
        default=AUTO,
        description=(
            "the detector that looks at the picture: draft, yolo[:FILE.pt], owlv2[:MODEL], grounding-dino[:MODEL],"
            " vlm:MODEL, cogvlm:MODEL@COMMIT, or none (default: draft for pictures of the draft engine, else owlv2 or"
            " grounding-dino if its weights are on this machine)"
        ),
    )
    verifier_url: Annotated[str | None, Flag("URL", group=WORKERS)] = Field(
        default=None, description="an OpenAI-compatible endpoint for vlm:MODEL; key: INSTDIFF_VERIFIER_KEY"
    )
    verifier_dialect: Annotated[str | None, Flag("D", group=WORKERS)] = Field(
        default=None, description="how that model writes boxes, if its name does not tell: json, qwen-1000, ..."
    )
    found_score: Annotated[Fraction | None, Flag("X", group=WORKERS)] = Field(
        default=None,
        description=(
            "how sure the verifier must be, 0 to 1, that a thing is in its place: higher refuses more pictures, lower"
            " lets more mistakes pass (default: the verifier's own, which 1 in 100 other things would reach)"
        ),
    )
    planning: Annotated[Literal["scene", "boxes"], Flag(group=CHAT)] = Field(
        default="scene",
        description="scene: things in metres, which our camera places (default); boxes: the model places them",
    )
    size: Size = Field(default=None, description="pixels, or one number for a square (default: the engine's own)")
    settings: RenderSettings = RenderSettings()


Part = Literal["planner", "engine", "verifier"]


class Edited(Value):
    """Where an edited run comes from: the folder and round of the other run, the words, and what they changed."""

    run: str
    round: int
    words: str = Field(max_length=MAX_PROMPT)
    notes: tuple[str, ...] = ()
    regions: tuple[Box, ...] = Field(default=(), description="where the picture changes; nowhere else")
    apart: tuple[int, ...] = Field(default=(), description="the things that are painted there, counted from 0")
    gone: tuple[str, ...] = Field(default=(), description="what must not be seen in the regions any more")
    failed: tuple[int, ...] = Field(default=(), description="the things that failed before, and are left as they are")
    keep: bool = Field(default=False, description="the first round is the picture as it is; later ones mend it")


class Request(Options):
    """What was asked for: all that is needed to go on with a run after its process is gone.

    Each round paints with seeds of its own, starting at ``settings.seed``.
    """

    prompt: str = Field(default="", max_length=MAX_PROMPT, description="the scene in words")
    rounds: Rounds = Field(default=3, description="paint at most so often (default: 3; 1 for a picture)")
    repair: Annotated[bool, Flag(name="no-repair", group=WORKERS)] = Field(
        default=True, description="paint everything anew in each round, and not only what failed"
    )
    candidates: Annotated[int, Flag("N", group=PAINTING, label="Candidates")] = Field(
        default=1,
        ge=1,
        le=64,
        description="begin so many first pictures, look after a quarter of the steps, finish the best (default: 1)",
    )
    cache: Annotated[bool, Flag(name="no-cache", group=CHAT)] = Field(
        default=True, description="ask anew; answers are kept in ~/.cache/instdiff, or in INSTDIFF_CACHE"
    )
    num_ctx: Annotated[int | None, Flag("N", group=CHAT)] = Field(
        default=None, ge=1, description="tokens of context for ollama:MODEL and llama:FILE (default: what is needed)"
    )
    max_tokens: Annotated[int | None, Flag("N", group=CHAT)] = Field(
        default=None, ge=1, description="stop before a run takes more tokens, prompts and answers together"
    )
    max_usd: Annotated[float | None, Flag("X", group=CHAT), Field(ge=0, allow_inf_nan=False)] = Field(
        default=None, description="stop before a run costs more dollars; for models of known price"
    )
    refiner: Annotated[str | None, Flag("FOLDER", group=PAINTING)] = Field(
        default=None, description="the refiner's folder (default: the SDXL refiner, if it is on this machine)"
    )
    review: Annotated[bool, Flag(group=OUTCOME, label="Show me the plan before it is painted")] = Field(
        default=False, description="stop after the plan and wait for --approve, --replan or --reject"
    )
    iou_threshold: Fraction = Field(default=0.5, description="from this IoU on an instance is in its place")
    edited: Edited | None = None
    own: tuple[Part, ...] = Field(default=(), description="what was given as an object in Python: no name loads it")

    def command(self) -> str:
        """The command line that asks for the same run, without a stop for a review."""
        left_out = {"review": False}
        if self.planner == "offline":  # it would refuse them
            left_out |= {o.path[0]: o.field.default for o in options(Request) if o.flag.group == CHAT}
        words = to_arguments(self.model_copy(update=left_out))
        return f"{PROGRAM} {shlex.join([*words, '--', self.prompt])}"


def read_prompts(path: Path) -> list[str]:
    """The distinct prompts of a text or JSON-lines file, in its order."""
    lines = [line.strip() for line in read_bytes(path).decode("utf-8-sig", errors="replace").split("\n")]
    prompts = []
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            data = mapping(parse_json(line, f"{path} line {number}"), f"{path} line {number}")
            if not isinstance(data.get("prompt"), str):
                raise BadInput(f"{path} line {number}", 'has no "prompt"')
            prompts.append(text(data, "prompt", f"{path} line {number}"))
        elif line:
            prompts.append(line)
    if not prompts:
        raise BadInput(str(path), "holds no prompts")
    return list(dict.fromkeys(prompts))
