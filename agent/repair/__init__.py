"""Mends what failed on a picture and keeps the rest: what went wrong, what is done about it, and what is accepted."""
