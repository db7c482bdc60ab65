"""A Polar chest strap: Bluetooth notifications -> wire v1, with a buffer on disk."""
