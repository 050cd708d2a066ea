"""What is varied in a network: units, heads, directions, subspaces, latents, and values of other contexts."""
