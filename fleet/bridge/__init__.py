"""Other people's systems: master stations that are read, and platforms that are told."""
