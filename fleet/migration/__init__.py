"""Migrations of 2G/3G terminals: inventory, survey, plan, waves, and the proof that no bill is lost."""
