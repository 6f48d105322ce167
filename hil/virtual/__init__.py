"""The virtual board: real firmware on a real MicroPython VM, the chip played by the host."""
