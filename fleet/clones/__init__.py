"""Whether one identity is used by two devices: what tells them apart, and what is done then."""
