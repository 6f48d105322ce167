"""Uplink: from a broker's message to committed readings and a receipt."""
