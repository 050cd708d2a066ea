"""Keep, or remove, one circle of the embedding."""
