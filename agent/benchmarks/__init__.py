"""Benchmarks that run the agent: its plans, its pictures, what its rounds gain, what its datasets are worth."""
