"""The Kapok node application: one complete slot of .mpy files."""
