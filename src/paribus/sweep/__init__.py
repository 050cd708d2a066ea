"""Many jobs asked for at once: what they are, and what became of each."""
