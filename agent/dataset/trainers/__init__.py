"""Detectors of other packages learn from a dataset's export, and are scored on its validation split."""
