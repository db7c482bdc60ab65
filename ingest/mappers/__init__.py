"""Foreign topics and payloads -> the same `Chunk`, as a TOML file tells; not yet joined to the service."""
