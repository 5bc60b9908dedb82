"""Looks at a plan before paint is spent on it."""
