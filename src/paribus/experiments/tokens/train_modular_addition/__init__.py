"""Training on modular addition, from memorising the pairs to computing the sum."""
