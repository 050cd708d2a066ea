"""A run's life: resolve, set up, perform, draw, keep."""
