"""Terminals of other makers, as they are: their protocols, and what reads and answers them."""
