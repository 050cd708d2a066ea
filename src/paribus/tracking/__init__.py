"""The MLflow store, runs in it, their identity and provenance."""
