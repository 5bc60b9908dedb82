"""The review dashboard: make pictures, look at them, put them right, rate them. Run folders hold all that it knows.

`navigation` is the entry, with one module for each page; `run_index` knows nothing of Streamlit.
"""
