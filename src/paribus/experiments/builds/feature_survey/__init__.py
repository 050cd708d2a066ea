"""The survey of the latents of a set model: families, weapons, and what either does."""
