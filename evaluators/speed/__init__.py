"""How fast the engine paints, beside the published schedule of work in the same run."""
