"""What kind of data an experiment is about."""
