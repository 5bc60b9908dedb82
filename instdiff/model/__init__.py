"""The painter: UNet, grounding, sampler, pipeline, and the small models beside them."""
