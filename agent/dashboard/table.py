"""A table of few rows, of which some can be marked. Streamlit's own makes the browser read 1.5 MB of scripts first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HTML = '<div class="scroll"><table><thead></thead><tbody></tbody></table></div>'
CSS = """.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-family: var(--st-font); font-size: 0.875rem; }
table { color: var(--st-text-color); }
th, td { text-align: left; padding: 0.4rem 0.6rem; border: 1px solid var(--st-border-color); }
td { overflow-wrap: break-word; min-width: 2.5rem; max-width: 24rem; }
th { font-weight: 400; opacity: 0.7; white-space: nowrap; }
td.number { text-align: right; }
td.mark, th.mark { width: 1.5rem; min-width: 0; text-align: center; }
input { width: 1.05rem; height: 1.05rem; margin: 0; vertical-align: middle; }
input { accent-color: var(--st-primary-color); cursor: pointer; }
tr.marked { background: var(--st-secondary-background-color); }"""
JS = """export default function ({ parentElement, data, setStateValue }) {
  const table = parentElement.querySelector('table');
  const shown = JSON.stringify(data);
  if (table.shown === shown) return; // the page runs again after each mark: what has the focus keeps it
  table.shown = shown;
  const marked = new Set();
  const cell = (name, text, className) => {
    const made = document.createElement(name);
    made.textContent = text ?? '';
    if (className) made.className = className;
    return made;
  };
  const mark = (index, row) => {
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.setAttribute('aria-label', `mark row ${index + 1}`);
    box.addEventListener('change', () => {
      if (box.checked) marked.add(index);
      else marked.delete(index);
      row.classList.toggle('marked', box.checked);
      setStateValue('marked', [...marked].sort((a, b) => a - b));
    });
    const place = cell('td', '', 'mark');
    place.append(box);
    return place;
  };
  const head = document.createElement('tr');
  if (data.marks) head.append(cell('th', '', 'mark'));
  head.append(...data.columns.map((name) => cell('th', name)));
  const body = data.rows.map((values, index) => {
    const row = document.createElement('tr');
    if (data.marks) row.append(mark(index, row));
    row.append(...values.map((value) => cell('td', value, typeof value === 'number' ? 'number' : '')));
    return row;
  });
  table.querySelector('thead').replaceChildren(head);
  table.querySelector('tbody').replaceChildren(...body);
}"""


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[object]], key: str, can_mark: bool = False) -> list[int]:
    """The table; the numbers of the rows that are marked come back, from 0.

    Values are shown as text, None as nothing. Another table needs another key.
    """
    data = {"columns": list(columns), "rows": [list(row) for row in rows], "marks": can_mark}
    shown = _component()(key=key, data=data, default={"marked": []}, on_marked_change=lambda: None)
    marked = shown.marked if isinstance(shown.marked, list) else []
    return [row for row in marked if isinstance(row, int) and 0 <= row < len(rows)]


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("rows", html=HTML, css=CSS, js=JS)
