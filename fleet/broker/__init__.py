"""The MQTT broker: one list of permissions, the embedded broker, and Mosquitto's configuration."""
