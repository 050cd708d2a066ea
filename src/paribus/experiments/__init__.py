"""One file per experiment type: a dataclass of its variables with a ``run`` method."""
