"""Devices that are not there: replayed recordings and synthetic patients that speak wire v1."""
