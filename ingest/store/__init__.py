"""What was received and found, kept: raw chunks are the record of truth, everything else is derived."""
