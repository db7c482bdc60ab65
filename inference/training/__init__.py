"""Training, calibration and evaluation of the classifier; the only place besides `model` that needs torch."""
