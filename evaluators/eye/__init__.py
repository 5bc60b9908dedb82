"""The benchmark of detectors themselves: how far a word of theirs can be trusted."""
