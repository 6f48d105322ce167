"""Sensors that hang on a virtual board: each is attached to the board's pins or wires."""
