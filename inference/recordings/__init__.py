"""Finished recordings -> verdicts of windows, one answer for the whole, and reports (docs/recordings.md)."""
