"""C1: training on modular addition, from memorising the pairs to computing the sum."""
