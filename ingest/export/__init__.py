"""Stored recordings -> files that other programs open: WFDB, EDF+ and CSV."""
