"""Which heads look where an induction head would look."""
