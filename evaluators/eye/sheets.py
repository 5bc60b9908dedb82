"""Sheets of the pictures on which a detector is wrong, with the plan and what it sees drawn on them."""

from __future__ import annotations

from pathlib import Path

from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.drawing import draw_report, label
from evaluators.eye.answers import Judged, Outcome
from evaluators.report import VerdictKind

REFUSED = "refused.png"
ACCEPTED = "accepted.png"
OF_A_KIND = 8  # pictures of each kind that a sheet shows
SIDE = 320
COLUMNS = 4


class Sheets:
    """The first pictures of each kind that are wrongly refused or wrongly accepted."""

    def __init__(self) -> None:
        self._tiles: dict[str, dict[str, list[Tile]]] = {REFUSED: {}, ACCEPTED: {}}

    def show(self, title: str, judged: Judged, bar: str) -> None:
        """Keep a picture if what is said of it at a bar is wrong, and there are not enough of its kind yet."""
        picture, report = judged.picture, judged.reports[bar]
        if Outcome.of(picture, report).accepted and picture.changed is not None:
            verdict = report.verdicts[picture.changed]
            sheet = ACCEPTED
        elif not picture.spoiled and not report.verified and report.verdicts:
            verdict = next(verdict for verdict in report.verdicts if verdict.kind is not VerdictKind.FOUND)
            sheet = REFUSED
        else:
            return
        kind = ", ".join(filter(None, (title, picture.spoiled)))
        tiles = self._tiles[sheet].setdefault(kind, [])
        if len(tiles) < OF_A_KIND:
            drawn = draw_report(picture.image, picture.layout, report).resize((SIDE, SIDE))
            sure = "" if verdict.sure is None else f", {verdict.sure:.2f} sure"
            tiles.append(Tile(drawn, (kind, f"{label(verdict)}{sure}")))

    def write(self, folder: Path) -> list[Path]:
        """Write those sheets that have pictures; returns their files."""
        written = []
        for name, by_kind in self._tiles.items():
            if tiles := [tile for tiles in by_kind.values() for tile in tiles]:
                contact_sheet(tiles, folder / name, SIDE, COLUMNS)
                written.append(folder / name)
        return written
