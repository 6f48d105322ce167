"""Alarms: what somebody must look at, open until it is over or a person has closed it."""
