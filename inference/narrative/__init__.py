"""What was found, in plain words: templates that a clinician can read through; perhaps a language model."""
