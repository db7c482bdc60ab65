"""Experiments that take longer than the test run; each prints ratios, and JSON with --json."""
