"""A bench of virtual boards in one process, each on a PTY that real tools can flash."""
