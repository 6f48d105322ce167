"""What MicroPython on the ESP32 does, as facts with their sources, and what the shims do."""
