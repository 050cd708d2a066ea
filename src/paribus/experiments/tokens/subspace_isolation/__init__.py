"""C3: keep, or remove, one circle of the embedding."""
