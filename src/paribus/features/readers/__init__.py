"""Reading features from activations: what is read, where, and which population gives its nulls."""
