"""Training of the network that tells beats, and where it cannot (`ingest.beat_network`)."""
