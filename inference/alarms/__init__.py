"""Alarm rules, the engine that applies them, and the service that joins it to MQTT and the store."""
