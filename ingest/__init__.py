"""Bytes from the broker become ordered samples, 10-second windows and vitals; stored, then acknowledged."""
