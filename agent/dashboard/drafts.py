"""Changes of a plan that are not painted yet: a file in the run's folder, which outlives the window of its maker."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from instdiff.errors import BadInput
from instdiff.formats.fields import mapping
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.layout import Layout

PLAN_DRAFT = "draft-of-plan.json"  # of a plan that waits
EDIT_DRAFT = "draft-of-edit.json"  # of a picture that is there


class Draft:
    """The file of a draft. It belongs to one layout: of another one there is no draft."""

    def __init__(self, path: Path):
        self.path = path

    def read(self, layout: Layout) -> dict | None:
        """``{"instances": [...], "meant": ...}`` as it was kept, unread; None where there is nothing.

        Raises:
            BadInput: the file holds something else.
        """
        if not self.path.exists():
            return None
        kept = mapping(parse_json(read_bytes(self.path), self.path.name), self.path.name)
        if not isinstance(kept.get("instances"), list) or not isinstance(kept.get("meant"), str):
            raise BadInput(self.path.name, "holds no draft")
        return kept if kept.get("starts_from") == fingerprint(layout) else None

    def keep(self, layout: Layout, instances: list, meant: str) -> None:
        """Write the draft, whole or not at all."""
        kept = {"starts_from": fingerprint(layout), "meant": meant, "instances": instances}
        write_bytes(self.path, json.dumps(kept).encode())

    def discard(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)


def fingerprint(layout: Layout) -> str:
    """The same for equal layouts."""
    return sha256(layout.model_dump_json().encode()).hexdigest()[:16]
