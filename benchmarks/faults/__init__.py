"""Fault injection: a command is stopped at every point of its runs' lives and started again."""
