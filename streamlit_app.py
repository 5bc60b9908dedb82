"""``streamlit run streamlit_app.py``: the review dashboard, see `agent.dashboard`."""

from agent.dashboard.app import main

main()
