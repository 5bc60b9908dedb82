"""How far a job is, from the events that it told."""

from __future__ import annotations

from dataclasses import dataclass, field

WORDS = {
    "starting": "starting",
    "started": "starting",
    "waiting": "waiting for your answer",
    "stopped": "stopped",
    "done": "done",
    "failed": "failed",
}


@dataclass
class Progress:
    """What a page shows of a job; ``share`` is how much of the picture at work is denoised, 0..1."""

    status: str = "starting"
    share: float = 0.0
    round: int = 0
    layout: dict | None = None  # JSON of InstanceDiffusion
    notes: list[str] = field(default_factory=list)
    judged: list[dict] = field(default_factory=list)  # the events of rounds that are looked at
    preview: bool = False  # the picture of this round can be seen
    failure: str = ""


def progress(events: list[dict]) -> Progress:
    """Read the events from the oldest to the newest."""
    now = Progress()
    for event in events:
        kind = event["kind"]
        if kind in WORDS:
            now.status, now.share = WORDS[kind], 0.0
            now.failure = event.get("reason", "")
        elif kind == "loading":
            now.status = f"loading the {event['what']} {event['name']}"
        elif kind in ("planned", "criticised"):
            now.round, now.layout, now.preview = event["round"], event["layout"], False
            now.notes = [*event["notes"]] if kind == "planned" else [*now.notes, *event["notes"]]
            now.status = f"round {now.round} is planned"
        elif kind == "step":
            now.share = event["step"] / event["steps"]
            number = f", picture {event['image'] + 1} of {event['images']}" if event["images"] > 1 else ""
            now.status = f"painting round {event['round']}{number}: step {event['step']} of {event['steps']}"
        elif kind == "preview":
            now.preview = True
        elif kind == "judged":
            now.judged = [done for done in now.judged if done["round"] != event["round"]] + [event]
            now.status = f"round {event['round']}: {event['found']} of {event['planned']} found"
    return now
