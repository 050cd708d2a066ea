"""Many jobs asked for at once: what they are, and how each ended."""
