"""Alarms -> messages to people, over channels of their choice, and a state that home automation can read."""
