"""The form of the Make page: the scene in words or a layout, a field for each option, and what a grid varies."""

from __future__ import annotations

from typing import Any, NamedTuple

import streamlit as st
from annotated_types import Ge, Le, Lt

from agent.dashboard import grids
from agent.dashboard.navigation import plain
from agent.dashboard.start_point import Start, with_values
from agent.request import MAX_PROMPT, OUTCOME, WORKERS, Request
from instdiff.cli import Option, options
from instdiff.layout import Layout
from instdiff.render_settings import PAINTING

PER_ROW = 4
MAX_WHOLE = 2**53 - 1  # the browser's numbers are exact so far
NOTHING = "nothing"


class Asked(NamedTuple):
    """What was asked for with one press of the button.

    Attributes:
        values: by the keys of their options, as they were typed.
        varied: the option that has another value in each run of a grid; None for a single run.
        text: those values, as they were typed.
    """

    start: Start
    prompt: str
    values: dict[str, Any]
    varied: Option | None
    text: str

    def request(self) -> Request:
        """All options.

        Raises:
            BadInput: a value cannot be used.
        """
        read = dict(self.values)
        for option in options(Request):
            if option.flag.read and isinstance(text := read.get(option.key), str):
                read[option.key] = option.flag.read(text) if text.strip() else None
        return with_values(self.start.request, read)

    def layout(self) -> Layout | None:
        """What is painted in place of a plan; the words are its caption."""
        layout = self.start.layout
        return layout and layout.model_copy(update={"caption": self.prompt.strip() or layout.caption})


def show_form(start: Start) -> Asked | None:
    """The form, filled; what was asked for, if the button was pressed just now."""
    with st.form(f"make-{start.key}", border=False):
        words = start.layout.caption if start.layout else start.request.prompt
        example = "a cozy living room with two cats"
        label = "The scene in words"
        prompt = st.text_area(
            label, words, max_chars=MAX_PROMPT, placeholder=example, height=80, key=f"{start.key}-prompt"
        )
        values = {**_fields(start, WORKERS), **_fields(start, OUTCOME)}
        with st.expander("More settings"):
            values |= _fields(start, PAINTING)
        with st.expander("A grid: a picture for each of several values"):
            varied, text = _varied(start)
        pressed = st.form_submit_button("Make the picture", type="primary", icon=":material/brush:")
    return Asked(start, prompt, values, varied, text) if pressed else None


def _varied(start: Start) -> tuple[Option | None, str]:
    """The setting that a grid varies, and its values."""
    choices = {option.flag.label: option for option in options(Request) if grids.can_vary(option)}
    columns = st.columns([1, 3])
    chosen = columns[0].selectbox("Vary", [NOTHING, *choices], key=f"{start.key}-vary")
    example = f"0-7, or 0, 0.25, 0.5; at most {grids.MOST}"
    text = columns[1].text_input("Values", placeholder=example, max_chars=1000, key=f"{start.key}-values")
    return choices.get(chosen), text


def _fields(start: Start, group: str) -> dict[str, Any]:
    """The fields of a group of options, some in each row; their values by the options' keys."""
    fields = [option for option in options(Request) if option.flag.group == group and option.flag.label]
    values: dict[str, Any] = {}
    for first in range(0, len(fields), PER_ROW):
        row = fields[first : first + PER_ROW]
        columns = st.columns(PER_ROW) if len(fields) > 1 else [st]
        for option, column in zip(row, columns, strict=False):
            values[option.key] = _field(column, option, option.of(start.request), f"{start.key}-{option.key}")
    return values


def _field(column: Any, option: Option, value: Any, key: str) -> Any:
    """The field of an option, as its type asks for; what is left empty is None or empty."""
    label = option.flag.label
    help_text = plain(option.field.description or "")
    if option.flag.examples or option.choices:
        choices = list(dict.fromkeys((*(option.flag.examples or option.choices), value)))
        is_open = not option.choices
        index = choices.index(value)
        return column.selectbox(label, choices, index, accept_new_options=is_open, help=help_text, key=key)
    if option.type is bool:
        return column.checkbox(label, value=value, key=key)
    if option.type is str:
        text = "x".join(map(str, value)) if value else ""
        return column.text_input(label, text, placeholder="the engine's own", help=help_text, key=key)
    least, most = _bounds(option)
    return column.number_input(label, least, most, value, placeholder="the engine's own", help=help_text, key=key)


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
