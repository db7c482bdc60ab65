"""Foreign topics and payloads -> the same `Chunk`, as a TOML file tells (docs/mappers.md)."""
