"""What follows from a contact that failed: when to try again. Loaded when one did."""

import os

from micropython import const

from node import clock
from node.errors import AttachRefused

_RETRY_S = const(60)
_RETRY_MOST_S = const(21600)


def failed(state, code: int, cause: int) -> None:
    """Note in `state` the contact's error (node.errors), its cause, and the time of the next."""
    fails = state.get("fails", 0)
    wait = min(_RETRY_S << min(fails, 10), _RETRY_MOST_S)
    if code == AttachRefused.code and cause in AttachRefused.FINAL:
        wait = _RETRY_MOST_S  # time does not heal it: only somebody's hand
    # A quarter of jitter, so that a street that lost its cell does not come back as one.
    wait += wait * os.urandom(1)[0] // 1024
    state.set("fails", fails + 1)
    state.set("failed", state.get("failed", 0) + 1)
    state.set("error", code)
    state.set("cause", cause)
    state.set("retry", clock.now() + wait)
