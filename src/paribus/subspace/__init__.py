"""Linear probes, directions and erasers."""
