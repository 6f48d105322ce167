"""How long a node's battery lasts: figures of `hw/`, measured wakes, a plan, and a budget."""
