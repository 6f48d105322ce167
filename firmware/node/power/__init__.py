"""What a node spends: the ledger of each wake's phases, and the daily record of them."""
