"""Measurements of speed and of statistical calibration; run as modules."""
