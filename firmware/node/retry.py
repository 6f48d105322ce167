"""What follows from a contact that failed: when to try again. Loaded when one did."""

import os

from micropython import const

from node import clock

_RETRY_S = const(60)
_RETRY_MOST_S = const(21600)
_REFUSED = const(15)  # link/registration.py
_FINAL = (3, 6, 7, 8, 11)  # what time does not heal: the SIM, the terminal, or their pairing


def failed(state, code: int, cause: int) -> None:
    """Note in `state` the contact's error (node.errors), its cause, and the time of the next."""
    fails = state.get("fails", 0)
    wait = min(_RETRY_S << min(fails, 10), _RETRY_MOST_S)
    if code == _REFUSED and cause in _FINAL:
        wait = _RETRY_MOST_S  # only somebody's hand heals it
    # A quarter of jitter, so that a street that lost its cell does not come back as one.
    wait += wait * os.urandom(1)[0] // 1024
    state.set("fails", fails + 1)
    state.set("failed", state.get("failed", 0) + 1)
    state.set("error", code)
    state.set("cause", cause)
    state.set("retry", clock.now() + wait)
