"""Reading features from activations: what is read, where, and in which population its nulls stand."""
