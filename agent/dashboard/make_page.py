"""Make: a scene in words, and how to paint it."""

from __future__ import annotations

import streamlit as st

from agent import job
from agent.dashboard import live_view, navigation
from agent.dashboard.navigation import plain, shortened
from agent.dashboard.run_index import run_folder, summaries
from agent.loop import Agent
from agent.request import MAX_PROMPT, parse_size
from instdiff.errors import InstDiffError
from instdiff.render_settings import PRESETS, RenderSettings
from instdiff.settings import outputs_folder

PLANNERS = ("auto", "offline", "openai:gpt-4o", "ollama:llama3.1")
ENGINES = ("draft", "sd15")
DEFAULT = "as fits the engine"
VERIFIERS = (DEFAULT, "draft", "owlv2", "grounding-dino", "yolo", "none")


def show() -> None:
    """The form, and the run that was started from it."""
    st.header("Make a picture")
    wanted = _form()
    if wanted:
        _start(wanted)
    name = st.query_params.get("run")
    if name:
        _made(name)
    _others(name)


def _form() -> dict | None:
    """What was asked for with this press of the button."""
    with st.form("make", border=False):
        prompt = st.text_area(
            "The scene in words", max_chars=MAX_PROMPT, placeholder="a cozy living room with two cats", height=80
        )
        columns = st.columns(4)
        new = {"accept_new_options": True}
        planner = columns[0].selectbox(
            "Planner", PLANNERS, **new, help="Makes the plan. Other names can be typed, such as chat:MODEL@URL."
        )
        engine = columns[1].selectbox("Engine", ENGINES, **new, help="Paints. Other model folders can be typed.")
        verifier = columns[2].selectbox(
            "Verifier", VERIFIERS, **new, help="Looks at the picture. Others can be typed, such as vlm:MODEL."
        )
        rounds = columns[3].number_input(
            "Rounds at most", 1, 20, 3, help="What is not found is planned and painted again."
        )
        review = st.checkbox("Show me the plan before it is painted")
        with st.expander("More settings"):
            settings = _settings()
            size = st.text_input("Size in pixels", placeholder="the engine's own, or such as 640x384")
        pressed = st.form_submit_button("Make the picture", type="primary", icon=":material/brush:")
    options = {"planner": planner, "engine": engine, "rounds": rounds, "review": review, "size": size.strip()}
    options["verifier"] = None if verifier == DEFAULT else verifier
    return {"prompt": prompt, "settings": settings, **options} if pressed else None


def _settings() -> dict:
    """Fields of `RenderSettings`; what is left empty is the engine's choice."""
    first = st.columns(4)
    second = st.columns(4)
    own = {"value": None, "placeholder": "the engine's own"}
    values = {
        "seed": first[0].number_input(
            "Seed", 0, 2**53 - 1, 0, help="The same seed gives the same picture on the same machine."
        ),
        "num_inference_steps": first[1].number_input("Steps", 1, 1000, **own),
        "guidance_scale": first[2].number_input(
            "Guidance", 0.0, 50.0, **own, help="Strength of classifier-free guidance."
        ),
        "num_images": first[3].number_input("Pictures per round", 1, 64, 1, help="The best is kept."),
        "alpha": second[0].number_input("Alpha", 0.0, 1.0, **own, help="Fraction of the steps with grounding."),
        "mis": second[1].number_input(
            "MIS", 0.0, 0.99, **own, help="Fraction of the steps with the Multi-Instance Sampler."
        ),
    }
    if "preset" in RenderSettings.model_fields:
        values["preset"] = second[2].selectbox("Preset", tuple(PRESETS), help="How much exactness is given for speed.")
    return values


def _start(wanted: dict) -> None:
    """Make the folder of the run and start its job; the address then names the run."""
    prompt = wanted.pop("prompt")
    settings = RenderSettings.parse(wanted.pop("settings"))
    try:
        wanted["size"] = parse_size(wanted["size"]) if wanted["size"] else None
        agent = Agent(**wanted, settings=settings, out=outputs_folder())
        run = agent.prepare(prompt)
        job.start(run.folder)
    except InstDiffError as error:
        st.error(plain(str(error)))
        return
    if agent.verifier_note:
        st.toast(plain(agent.verifier_note))
    st.session_state.made = run.folder.name
    st.query_params["run"] = run.folder.name


def _made(name: str) -> None:
    """The run of this address: while it is worked on, or what came of it."""
    from agent.dashboard import run_page

    st.divider()
    if job.is_running(run_folder(name)):
        live_view.watch(name)
    else:
        run_page.show_result(name)


def _others(name: str | None) -> None:
    """Links to what else is being worked on."""
    running = [
        run
        for run in summaries()
        if run.state == "unfinished" and run.name != name and job.is_running(run_folder(run.name))
    ]
    if running:
        st.subheader("Being worked on")
    for run in running:
        navigation.link("run", plain(shortened(run.prompt, 80)), run=run.name)
