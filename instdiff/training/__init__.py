"""Training: one loop, what it leaves on disk, and the models that it trains."""
