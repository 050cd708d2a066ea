"""What is read from a model: one scalar at a site."""
