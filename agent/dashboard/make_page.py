"""Make: a scene in words, and how to paint it."""

from __future__ import annotations

from typing import Any

import streamlit as st
from annotated_types import Ge, Le, Lt

from agent import job
from agent.dashboard import live_view, queue_view, run_page
from agent.dashboard.navigation import plain
from agent.dashboard.run_index import run_folder
from agent.loop import Agent
from agent.request import MAX_PROMPT, OUTCOME, WORKERS, Request
from instdiff.cli import Option, given_values, options, parse_values
from instdiff.errors import InstDiffError
from instdiff.render_settings import PAINTING
from instdiff.settings import outputs_folder

PER_ROW = 4
MAX_WHOLE = 2**53 - 1  # the browser's numbers are exact so far


def show() -> None:
    """The form, and the run that was started from it."""
    st.header("Make a picture")
    queue_view.warm_up()
    values = _form()
    if values:
        _start(values)
    name = st.query_params.get("run")
    if name:
        _made(name)
    queue_view.show(name)


def _form() -> dict[str, Any] | None:
    """What was asked for with this press of the button: the prompt, and values by the keys of their options."""
    with st.form("make", border=False):
        example = "a cozy living room with two cats"
        prompt = st.text_area("The scene in words", max_chars=MAX_PROMPT, placeholder=example, height=80)
        values = {"prompt": prompt, **_fields(WORKERS), **_fields(OUTCOME)}
        with st.expander("More settings"):
            values |= _fields(PAINTING)
        pressed = st.form_submit_button("Make the picture", type="primary", icon=":material/brush:")
    return values if pressed else None


def _fields(group: str) -> dict[str, Any]:
    """The fields of a group of options, some in each row; their values by the options' keys."""
    fields = [option for option in options(Request) if option.flag.group == group and option.flag.label]
    values: dict[str, Any] = {}
    for first in range(0, len(fields), PER_ROW):
        row = fields[first : first + PER_ROW]
        columns = st.columns(PER_ROW) if len(fields) > 1 else [st]
        values |= {option.key: _field(column, option) for option, column in zip(row, columns, strict=False)}
    return values


def _field(column: Any, option: Option) -> Any:
    """The field of an option, as its type asks for; what is left empty is None or empty."""
    label = option.flag.label
    default = option.field.default
    help_text = plain(option.field.description or "")
    if option.flag.examples:
        return column.selectbox(label, option.flag.examples, accept_new_options=True, help=help_text)
    if option.choices:
        return column.selectbox(label, option.choices, index=option.choices.index(default), help=help_text)
    if option.type is bool:
        return column.checkbox(label, value=default)
    if option.type is str:
        return column.text_input(label, placeholder="the engine's own", help=help_text)
    least, most = _bounds(option)
    return column.number_input(label, least, most, default, placeholder="the engine's own", help=help_text)


def _bounds(option: Option) -> tuple[float, float]:
    """The smallest and the largest number that an option takes."""
    least: Any = 0
    limit: Any = MAX_WHOLE
    for mark in option.field.metadata:
        if isinstance(mark, Ge):
            least = mark.ge
        elif isinstance(mark, Le):
            limit = mark.le
        elif isinstance(mark, Lt):
            limit = mark.lt
            limit -= 1 if option.type is int else 0.01
    return least, min(limit, MAX_WHOLE)


def _start(values: dict[str, Any]) -> None:
    """Make the folder of the run and start its job; the address then names the run."""
    try:
        for option in options(Request):
            if option.flag.read and values.get(option.key) is not None:
                text = values[option.key].strip()
                values[option.key] = option.flag.read(text) if text else None
        agent = Agent(parse_values(Request, given_values(Request, values)), out=outputs_folder())
        run = agent.prepare(values["prompt"])
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
    st.divider()
    if job.is_running(run_folder(name)):
        live_view.watch(name)
    else:
        run_page.show_result(name)
