"""Looks at pictures and measures them: detectors, reports on layouts, and evaluations of painted pictures."""
