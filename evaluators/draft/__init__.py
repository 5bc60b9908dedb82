"""The benchmark of the bundled draft stack."""
