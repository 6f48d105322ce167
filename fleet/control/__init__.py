"""What the fleet has for its nodes: the downlink queue."""
