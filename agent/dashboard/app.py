"""The script that streamlit runs, see `agent.commands.dashboard`."""

from agent.dashboard.navigation import main

main()
