"""A table of few rows, of which some can be marked. Streamlit's own makes the browser read 1.5 MB of scripts first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

MANY = "many"  # rows can be marked
ONE = "one"  # the mark of another row takes the place of the one before
HTML = '<div class="scroll"><table><thead></thead><tbody></tbody></table></div>'
CSS = """.scroll { overflow: auto; max-height: 40rem; }
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
  const marked = new Set(data.marked);
  const focused = parentElement.querySelector('tbody').getRootNode().activeElement?.dataset.row;
  const cell = (name, text, className) => {
    const made = document.createElement(name);
    made.textContent = text ?? '';
    if (className) made.className = className;
    return made;
  };
  const mark = (index, row) => {
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = marked.has(index);
    box.dataset.row = index;
    box.setAttribute('aria-label', `mark row ${index + 1}`);
    row.classList.toggle('marked', box.checked);
    box.addEventListener('change', () => {
      if (data.marks === 'one') {
        marked.clear();
        for (const other of table.querySelectorAll('input')) if (other !== box) other.checked = false;
      }
      if (box.checked) marked.add(index);
      else marked.delete(index);
      for (const other of table.querySelectorAll('input')) {
        other.closest('tr').classList.toggle('marked', other.checked);
      }
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
  if (focused) table.querySelector(`input[data-row="${focused}"]`)?.focus();
}"""


def show_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    key: str,
    marks: str = "",
    marked: Sequence[int] = (),
    on_mark: Callable[[], None] = lambda: None,
) -> list[int]:
    """The table; the numbers of the rows that are marked come back, from 0.

    Args:
        rows: values are shown as text, None as nothing.
        key: another table needs another one.
        marks: `MANY` or `ONE`; empty where none can be made.
        marked: the rows that are marked at first.
        on_mark: is called before the page runs again; `marked_rows` then tells the rows.
    """
    table = {"columns": list(columns), "rows": [list(row) for row in rows], "marks": marks, "marked": list(marked)}
    _component()(key=key, data=table, default={"marked": list(marked)}, on_marked_change=on_mark)
    return [row for row in marked_rows(key) if row < len(rows)]


def marked_rows(key: str) -> list[int]:
    """The rows of a table that are marked."""
    marked = st.session_state[key].get("marked")
    return [row for row in marked if isinstance(row, int) and row >= 0] if isinstance(marked, list) else []


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("rows", html=HTML, css=CSS, js=JS)
