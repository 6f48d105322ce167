"""From board files to a flashed board: images, ports, esptool, and what is read back."""
