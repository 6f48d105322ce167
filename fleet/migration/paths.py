"""What the paths that rules name mean to the ledger; how each is chosen stands in rules.toml."""

from typing import Final

RETIRE: Final = "retire"  # nothing comes
STAYS: Final = "master-station"  # nothing is done: it stays behind its master station
# The terminal is the same one afterwards, on another bearer.
SAME_TERMINAL: Final = ("configuration", "esim-profile", "sim-swap", "module-swap")
NEW_CARD: Final = ("esim-profile", "sim-swap")  # another card, or profile, comes into it
