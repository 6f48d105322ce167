"""Updates on their way to nodes: assignments, streams and their blocks, and what nodes tell."""
