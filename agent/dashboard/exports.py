"""What can be taken away from a run: files, and the commands that make it again."""

from __future__ import annotations

import json
import shlex

import streamlit as st

from agent.dashboard.run_index import inside
from agent.request import Request
from agent.runs import GIVEN, Run
from instdiff.formats import layout_to_json, layouts_to_coco
from instdiff.layout import Layout

PROGRAM = "python run_agent.py"


def take_away(run: Run, index: int, layout: Layout) -> None:
    """Buttons for the files of a round, and its commands."""
    done = run.rounds[index]
    name = run.folder.name
    picture = inside(run.folder, done.image)
    st.subheader("Take away")
    buttons = st.container(horizontal=True)
    file = f"{name}-round-{index}"
    buttons.download_button("Picture", picture.read_bytes, f"{file}.png", "image/png", on_click="ignore")
    buttons.download_button(
        "Layout", _json(layout_to_json(layout)), f"{file}.json", "application/json", on_click="ignore"
    )
    buttons.download_button(
        "COCO", _json(coco(layout, f"{file}.png")), f"{file}-coco.json", "application/json", on_click="ignore"
    )
    st.text("The same picture again:")
    st.code(f"{PROGRAM} --layout {shlex.quote(str(picture))}", language=None, wrap_lines=True)
    if not run.request.edited and not (run.folder / GIVEN).exists():
        st.text("The whole run again:")
        st.code(command(run.request), language=None, wrap_lines=True)


def coco(layout: Layout, file_name: str) -> dict:
    """COCO annotations of one picture."""
    annotations = layouts_to_coco([layout])
    annotations["images"][0]["file_name"] = file_name
    return annotations


def command(request: Request) -> str:
    """The command line that asks for the same run."""
    settings = request.settings
    options = {
        "planner": request.planner,
        "planner-url": request.planner_url,
        "engine": request.engine,
        "refiner": request.refiner,
        "verifier": request.verifier,
        "verifier-url": request.verifier_url,
        "verifier-dialect": request.verifier_dialect,
        "rounds": request.rounds,
        "planning": None if request.planner == "offline" or request.planning == "scene" else request.planning,
        "max-tokens": request.max_tokens,
        "max-usd": request.max_usd,
        "size": request.size and f"{request.size[0]}x{request.size[1]}",
        "seed": settings.seed,
        "steps": settings.num_inference_steps,
        "guidance": settings.guidance_scale,
        "alpha": settings.alpha,
        "mis": settings.mis,
        "images": settings.num_images if settings.num_images > 1 else None,
        "preset": settings.preset if settings.preset != "exact" else None,
        "refine": settings.cascade_strength or None,
    }
    words = [word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))]
    return f"{PROGRAM} {shlex.join([*words, '--', request.prompt])}"


def _json(data: dict) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
