"""An emulated ROM loader of ESP32, ESP32-S3 and ESP32-C3, with the dialect of esptool's stub."""
