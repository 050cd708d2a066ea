"""A tidy table in, a matplotlib figure out; one drawing per file."""
