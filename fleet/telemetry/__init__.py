"""Readings by asset and quantity."""
