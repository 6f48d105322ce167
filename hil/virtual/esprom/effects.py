"""What follows from the bytes that a loader was given."""

from typing import NamedTuple


class Say(NamedTuple):
    """Bytes for the host, not before `due_us`."""

    due_us: int
    data: bytes


class Leave(NamedTuple):
    """The loader ends. `to`: `app` (reset into it), `rom` (reset, strap still low) or `dead`."""

    due_us: int
    to: str


Effect = Say | Leave
