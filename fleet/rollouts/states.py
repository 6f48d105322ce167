"""States of one terminal's update, and who may make each transition.

After AWS IoT Jobs (who may change what), hawkBit and OMA LwM2M object 5 (the states).
"""

from enum import StrEnum
from typing import Final


class Actor(StrEnum):
    """Who moves: what the node reported, the fleet by itself (its clocks), or a person."""

    NODE = "node"
    FLEET = "fleet"
    PERSON = "person"


SCHEDULED: Final = "scheduled"

OFFERED: Final = "offered"
ACCEPTED: Final = "accepted"
DOWNLOADING: Final = "downloading"
DOWNLOADED: Final = "downloaded"
VERIFIED: Final = "verified"
INSTALLING: Final = "installing"
REBOOTING: Final = "rebooting"
CONFIRMING: Final = "confirming"

SUCCEEDED: Final = "succeeded"
ALREADY_INSTALLED: Final = "already-installed"
FAILED: Final = "failed"  # may be tried again
REJECTED: Final = "rejected"  # never: the node said that this release is not for it
TIMED_OUT: Final = "timed-out"  # heard of, but not done in time; may be tried again
LOST: Final = "lost"  # nothing was heard until its deadline
ROLLED_BACK: Final = "rolled-back"
CANCELED: Final = "canceled"
REMOVED: Final = "removed"  # let go: the terminal is gone, or the time was over
SUPERSEDED: Final = "superseded"  # something newer is there, or on its way

# In the order in which a node goes through them.
OPEN: Final = (
    OFFERED, ACCEPTED, DOWNLOADING, DOWNLOADED, VERIFIED, INSTALLING, REBOOTING, CONFIRMING,
)  # fmt: skip
GOOD: Final = (SUCCEEDED, ALREADY_INSTALLED)
BAD: Final = (FAILED, REJECTED, TIMED_OUT, LOST, ROLLED_BACK)  # what a gate counts
NEUTRAL: Final = (CANCELED, REMOVED, SUPERSEDED)  # no part of what a gate divides by
FINAL: Final = (*GOOD, *BAD, *NEUTRAL)
ALL: Final = (SCHEDULED, *OPEN, *FINAL)

COUNTED: Final = (FAILED, TIMED_OUT)  # together they use up the attempts
MOST_ATTEMPTS: Final = 10

_NODE_ENDS = frozenset({*GOOD, FAILED, REJECTED, ROLLED_BACK})
_FLEET_ENDS = frozenset({FAILED, TIMED_OUT, LOST, REMOVED, SUPERSEDED})

# (who, from) -> to. What is missing is never done: a node's second end, or a step back that it
# tells out of order, changes nothing.
_ALLOWED: Final[dict[tuple[Actor, str], frozenset[str]]] = {
    # Where the release runs already nothing needs to be offered.
    (Actor.FLEET, SCHEDULED): frozenset({OFFERED, ALREADY_INSTALLED, REMOVED, SUPERSEDED}),
    (Actor.PERSON, SCHEDULED): frozenset({CANCELED}),
    **{
        (Actor.NODE, state): frozenset({*OPEN[place:], *_NODE_ENDS})
        for place, state in enumerate(OPEN)
    },
    # Offered anew: the whole image after a delta did not fit, say.
    **{(Actor.FLEET, state): frozenset({OFFERED, *_FLEET_ENDS}) for state in OPEN},
    # An offer that the node has not taken is taken back when a rollout stops.
    (Actor.FLEET, OFFERED): frozenset({OFFERED, SCHEDULED, *_FLEET_ENDS}),
    **{(Actor.PERSON, state): frozenset({CANCELED}) for state in OPEN},
    **{(Actor.FLEET, state): frozenset({SCHEDULED}) for state in COUNTED},
    **{
        (Actor.PERSON, state): frozenset({SCHEDULED})
        for state in (FAILED, TIMED_OUT, LOST, ROLLED_BACK, CANCELED)
    },
}


def may(actor: Actor, before: str, after: str) -> bool:
    """Whether `actor` may move an update from a state to another one, or news of the same."""
    return after in _ALLOWED.get((actor, before), frozenset())


def ever(actor: Actor, after: str) -> bool:
    """Whether there is any state from which `actor` may move to `after`."""
    return any(who is actor and after in to for (who, _), to in _ALLOWED.items())


def is_error(state: str, attempts: int) -> bool:
    """Whether a gate counts it: it ended badly, or did so before and has not succeeded since."""
    return state in BAD or (attempts > 0 and state not in GOOD and state not in NEUTRAL)
