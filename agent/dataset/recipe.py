"""The recipe of a dataset: everything that changes its results, but for what the pictures are of."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Annotated, Literal

from pydantic import Field

from agent.planners import check_planner
from agent.request import Options, PlannerName, Rounds, Size, VerifierName
from evaluators.detectors import check_detector
from instdiff.cli import Flag, Only
from instdiff.engine import engine_info, hash_weights
from instdiff.errors import BadInput
from instdiff.render_settings import PAINTING, RenderSettings, resolve_settings
from instdiff.values import Fraction

KEPT = "what is kept"  # heading of the flags in helps
BUNDLED = {"draft": "detector"}  # verifiers with weights of ours, and their folder beside the engine's


class Recipe(Options):
    """How pictures are made and what is kept of them.

    ``accept``: ``picture`` keeps pictures on which every instance was checked and found; ``instance`` keeps pictures on
    which at least one was, with those alone as annotations; ``all`` keeps every picture with its plan. ``batch`` is
    part of it, because what is painted together changes pictures in their last bits. ``size`` None leaves given layouts
    as they are. ``places`` are those of the plan; or the same things stand at random ones (`scatter`), where they stay
    in all rounds, on every picture or on every second one.
    """

    planner: PlannerName = Field(
        default="offline", description="who plans (default: offline); see instdiff-agent make --help"
    )
    verifier: VerifierName = Field(
        default="draft", description="see instdiff-agent make --help (default: the engine's own)"
    )
    size: Size = Field(default=None, description="pixels (default: the engine's own, or as the layouts say)")
    settings: Annotated[RenderSettings, Only(("steps", "guidance", "alpha", "mis"))] = RenderSettings()
    places: Annotated[Literal["planned", "random", "mixed"], Flag(group=PAINTING)] = Field(
        default="planned", description="as planned; the same things at random ones; or every second (default: planned)"
    )
    rounds: Rounds = Field(default=2, description="paint at most so often; only what failed goes on (default: 2)")
    accept: Annotated[Literal["picture", "instance", "all"], Flag(group=KEPT)] = Field(
        default="picture",
        description="pictures with everything found; with anything found; or all as planned (default: picture)",
    )
    min_iou: Annotated[Fraction, Flag("X", group=KEPT)] = Field(
        default=0.5, description="from this IoU with its place on a thing is found (default: 0.5)"
    )
    paint_out: Annotated[bool, Flag(group=KEPT)] = Field(
        default=False, description="paint over what was planned and not verified, where nothing else goes with it"
    )
    val: Annotated[Fraction, Flag("X", group=KEPT)] = Field(
        default=0.1, description="share of pictures for validation, where an export names none (0.1)"
    )
    seed: Annotated[int, Flag("N", group=PAINTING)] = Field(0, ge=0, lt=2**31, description="of everything (default: 0)")
    batch: Annotated[int, Flag("N", group=PAINTING)] = Field(
        default=8, ge=1, le=256, description="pictures painted at once (default: 8)"
    )

    def check(self) -> None:
        """Refuse unknown names before anything heavy is loaded.

        Raises:
            BadInput, ServiceError: as `agent.planners.load_planner` and `evaluators.detectors.check_detector`.
        """
        engine_info(self.engine)
        check_planner(self.planner)
        if self.verifier != "none":
            check_detector(self.verifier, self.verifier_url, self.verifier_dialect)
        elif self.accept != "all":
            cure = "give --accept all, or a --verifier"
            raise BadInput("accept", f"without a verifier nothing can pass {self.accept}; {cure}")

    @property
    def resolved_settings(self) -> RenderSettings:
        """How to paint, with nothing None; a plan can ask for another mis and alpha where none is given."""
        return resolve_settings(self.settings, engine_info(self.engine).defaults)

    def fingerprint(self) -> dict[str, str | int | float]:
        """Everything that changes the results, by name: this recipe, the weights, and the version of torch."""
        info = engine_info(self.engine)
        fields = self.model_dump(mode="json", exclude={"settings", "size"})
        painting = self.resolved_settings.model_dump(exclude={"seed", "num_images"})
        weights = {"model_hash": hash_weights(info.folder), "torch": version("torch")}
        if folder := BUNDLED.get(self.verifier):
            weights["verifier_hash"] = hash_weights(engine_info("draft").folder / folder)
        free = {f"{name}_given": int(getattr(self.settings, name) is not None) for name in ("mis", "alpha")}
        size = "{} x {}".format(*self.size) if self.size else "as given"
        every = {**fields, **painting, **weights, **free, "size": size}
        for name, default in (("places", "planned"), ("paint_out", False)):  # folders may be older than these choices
            if every[name] == default:
                del every[name]
        return {key: value for key, value in every.items() if value is not None}

    def seed_of(self, index: int) -> int:
        """The seed of a candidate, which depends on its number alone."""
        return int.from_bytes(hashlib.sha256(f"{self.seed} {index}".encode()).digest()[:4]) >> 1

    def scatters(self, index: int) -> bool:
        """True if the things of a candidate stand at random places."""
        return self.places == "random" or (self.places == "mixed" and index % 2 == 1)
