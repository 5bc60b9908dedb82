"""Training of the bundled draft models on composed scenes."""
