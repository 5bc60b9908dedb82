"""``streamlit run streamlit_app.py``: the review dashboard, see `agent.dashboard`."""

from agent.dashboard.navigation import main

main()
