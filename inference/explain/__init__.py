"""Explanations: which moments of a window, and which returns in its plot, made the model answer as it did."""
