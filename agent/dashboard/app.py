"""The frame around the pages."""

from __future__ import annotations

import streamlit as st

from agent.dashboard.navigation import PAGES, go, page, plain
from instdiff.errors import InstDiffError

# Streamlit leaves much room above a page.
STYLE = "<style>[data-testid=stMainBlockContainer] { padding-top: 4.5rem; padding-bottom: 3rem; }</style>"


def main() -> None:
    """Show the page that the address names; ``/?run=NAME`` opens that run."""
    st.set_page_config(page_title="From a sentence to a verified picture", page_icon=":material/brush:", layout="wide")
    st.html(STYLE)
    chosen = st.navigation([page(name) for name in PAGES], position="top")
    wanted = st.query_params.get("run")
    if chosen.url_path == "" and wanted and not st.session_state.get("made"):
        go("run", run=wanted)
    try:
        chosen.run()
    except (InstDiffError, OSError) as error:  # OSError: a file that is gone or damaged
        st.error(plain(str(error)))
