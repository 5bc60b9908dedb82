"""Training of the draft models: scenes to learn from, losses, loop, launch."""
