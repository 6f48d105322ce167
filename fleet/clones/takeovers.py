"""Two clients that end each other's connections: told from one that reconnects.

A node whose link is lost connects anew while the broker still holds its old connection, maybe from
another address behind another NAT. It does so once a minute at most, since it waits 60 s after a
contact that failed. Two clients come back at once: the one that was ended by the other ends
it in turn, within seconds, and each has sent something meanwhile. That has to happen some times
in a quarter of an hour before it counts.
"""

from collections import OrderedDict
from typing import NamedTuple

from fleet.broker.watch import Origin

WINDOW_S = 900.0
QUICK_S = 30.0  # a node that was cut off comes back after 60 s at the earliest
TURNS = 3
_CLIENTS = 4096  # of which something is remembered
_HISTORY = 16  # takeovers of one of them


class _Takeover(NamedTuple):
    at: float
    winner: Origin
    loser: Origin
    loser_spoke: bool


class Takeovers:
    """What happened of late, by client; used in one thread."""

    def __init__(self, quick_s: float = QUICK_S) -> None:
        self._quick_s = quick_s
        self._of: OrderedDict[str, list[_Takeover]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of)

    def taken(
        self, client: str, winner: Origin, loser: Origin, loser_spoke: bool, now_s: float
    ) -> bool:
        """Note that a live connection was ended by a new one; True when two clients do it.

        `loser_spoke`: it had published. After True the client's history begins anew.
        """
        history = self._of.setdefault(client, [])
        self._of.move_to_end(client)
        if len(self._of) > _CLIENTS:
            self._of.popitem(last=False)
        history.append(_Takeover(now_s, winner, loser, loser_spoke))
        history[:] = [each for each in history[-_HISTORY:] if now_s - each.at <= WINDOW_S]
        turns = sum(map(self._is_turn, history, history[1:]))
        if turns < TURNS:
            return False
        del self._of[client]
        return True

    def _is_turn(self, one: _Takeover, then: _Takeover) -> bool:
        return (
            one.winner != one.loser
            and (then.winner, then.loser) == (one.loser, one.winner)
            and one.loser_spoke
            and then.loser_spoke
            and then.at - one.at <= self._quick_s
        )
