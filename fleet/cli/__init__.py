"""The command `kapok`."""
