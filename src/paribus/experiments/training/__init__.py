"""Training a model as a tracked run."""
