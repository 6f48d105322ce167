"""From sources to what nodes run."""
