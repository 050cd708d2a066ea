"""C6: which heads look where an induction head would look."""
