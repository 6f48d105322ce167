"""Faults that are put into a copy of the firmware, to see that the tests notice them."""
