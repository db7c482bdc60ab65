"""Programs that fetch from devices which speak no MQTT, and publish wire v1 for them."""
