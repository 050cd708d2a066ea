"""A result as one self-contained page."""
