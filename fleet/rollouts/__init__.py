"""Rollouts: which terminals get a release, in which order, how fast, and what stops it."""
