"""Training, cross-validation and export of the rhythm network, from handheld recordings."""
