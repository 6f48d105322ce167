"""States of one terminal's migration, and who may make each transition.

    planned -> ready -> installed -> parity -> cut_over -> settled -> decommissioned

and back to `rolled_back` from any of them from `ready` on, until the item's deadline is over.
"""

from enum import StrEnum
from typing import Final


class Actor(StrEnum):
    """Who moves: the fleet by itself (gates, clocks), a technician's act, a person's word."""

    FLEET = "fleet"
    TECHNICIAN = "technician"
    PERSON = "person"


PLANNED: Final = "planned"
READY: Final = "ready"  # the pre-flight checks passed; its register is in the ledger
INSTALLED: Final = "installed"  # what is new is in place; where both stay the dual run goes on
PARITY: Final = "parity"  # the new one was seen to count as the old one does
CUT_OVER: Final = "cut_over"  # the new one's register is what is billed
SETTLED: Final = "settled"  # a billing period was closed on it
DECOMMISSIONED: Final = "decommissioned"
ROLLED_BACK: Final = "rolled_back"

ALL: Final = (
    PLANNED, READY, INSTALLED, PARITY, CUT_OVER, SETTLED, DECOMMISSIONED, ROLLED_BACK,
)  # fmt: skip
# While an item is in one of these its old terminal is its alone (migration_items.open_for).
UNDER_WAY: Final = (READY, INSTALLED, PARITY, CUT_OVER, SETTLED)
# What was put in place by a visit is there.
IN_PLACE: Final = (INSTALLED, PARITY, CUT_OVER, SETTLED)
# The new terminal is what is billed, unless old and new are one.
BILLED_NEW: Final = (CUT_OVER, SETTLED, DECOMMISSIONED)

_ANYBODY = (Actor.FLEET, Actor.TECHNICIAN, Actor.PERSON)
# (who, from) -> to. What is missing is never done.
_ALLOWED: Final[dict[tuple[Actor, str], frozenset[str]]] = {
    (Actor.FLEET, PLANNED): frozenset({READY}),
    (Actor.FLEET, ROLLED_BACK): frozenset({READY}),
    (Actor.PERSON, READY): frozenset({ROLLED_BACK}),
    (Actor.TECHNICIAN, READY): frozenset({INSTALLED, ROLLED_BACK}),
    (Actor.FLEET, READY): frozenset({ROLLED_BACK}),
    **{
        (who, state): frozenset({ROLLED_BACK})
        for who in _ANYBODY
        for state in (INSTALLED, PARITY, CUT_OVER, SETTLED)
    },
    (Actor.FLEET, INSTALLED): frozenset({PARITY, ROLLED_BACK}),
    (Actor.FLEET, PARITY): frozenset({CUT_OVER, ROLLED_BACK}),
    (Actor.PERSON, PARITY): frozenset({CUT_OVER, ROLLED_BACK}),
    (Actor.FLEET, CUT_OVER): frozenset({SETTLED, ROLLED_BACK}),
    (Actor.PERSON, SETTLED): frozenset({DECOMMISSIONED, ROLLED_BACK}),
}


def may(actor: Actor, before: str, after: str) -> bool:
    """Whether `actor` may move an item from a state to another one."""
    return after in _ALLOWED.get((actor, before), frozenset())


def who_may(before: str, after: str) -> tuple[Actor, ...]:
    """Everybody who may make a transition; empty: nobody ever does."""
    return tuple(who for who in Actor if may(who, before, after))
