"""The review dashboard: make pictures, look at them, put them right, rate them. Run folders hold all that it knows.

`app` is the entry, one module for each page; `store`, `ratings` and `text` know nothing of Streamlit.
"""
