"""Metering: daily reads, estimates and their replacement, consumption, exceptions, bills."""
