"""Migrations of 2G/3G terminals: inventory, survey, plan, waves, and what proves every bill."""
