"""The entrypoint and its verbs."""
