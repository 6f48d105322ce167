"""Ids of terminals of other makers: of the shape of a node id, and never one.

A node id stands for 48 bits, so its first character is 0..7; these begin with g..z. They come from
the utility's own number of the terminal, so that the same inventory gives the same ids anywhere.
"""

import hashlib

from fleet.wire.nodeid import ALPHABET, LENGTH

_MARK = 1 << 49
_TRIES = 16


def candidates(number: str) -> list[str]:
    """Ids for a terminal's number, the best first; the others are for two numbers of one hash."""
    return [_of(f"{number}\n{attempt}") for attempt in range(_TRIES)]


def is_legacy(terminal_id: str) -> bool:
    """Whether an id is of a terminal of another maker."""
    return len(terminal_id) == LENGTH and ALPHABET.find(terminal_id[0]) >= 16


def _of(text: str) -> str:
    digest = hashlib.sha256(f"legacy terminal\n{text}".encode()).digest()
    n = _MARK | int.from_bytes(digest[:7], "big") >> 7
    return "".join(ALPHABET[n >> shift & 31] for shift in range(45, -1, -5))
