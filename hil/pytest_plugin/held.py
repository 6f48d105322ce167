"""What the plugin must know of the place that a test holds: its logs, and whether it is broken."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pytest


@dataclass
class Logs:
    """What a place and its fleet said during one test. Texts, and the current as steps:
    (microseconds, microamperes from then on). All times are the node's, since the test began.
    """

    console: str = ""
    at: str = ""
    mqtt: str = ""  # packets, where a server of the rig's stands in for the fleet
    current: Sequence[tuple[int, int]] = field(default_factory=list)
    coap: str = ""  # datagrams, alike
    fleet: str = ""  # what its process logged


class Held(Protocol):
    """A place that a worker holds. Nothing of it may raise but RigFault."""

    @property
    def name(self) -> str:
        """The target's name in the rig's file."""

    @property
    def broken(self) -> BaseException | None:
        """Why its strategy can bring the node nowhere any more; None while it can."""

    def mark(self) -> Hashable:
        """Where its logs are now."""

    def logs(self, mark: Hashable) -> Logs:
        """What was logged since `mark`."""

    def recover(self) -> None:
        """After a rig fault: let go of ports and processes and begin anew, state `off`, broken no
        more. Also of a place that was let go meanwhile, of which nothing is to do.
        """


class Holding:
    """The place that a test holds, and where its logs were when it began; None: it has not."""

    def __init__(self, place: Held, since: Hashable = None) -> None:
        self.place = place
        self.since = since


HOLDING = pytest.StashKey[Holding]()
MADE_ANEW = "made-anew"  # a property: the node's fault before the test, in one line


def take(item: pytest.Item, place: Held) -> None:
    """Before anything there is begun: what fails from here on is mended at `place`."""
    item.stash[HOLDING] = Holding(place)


def hold(item: pytest.Item, place: Held) -> None:
    """From here on the logs of `place` are this test's; fixture `node` says so at its start."""
    take(item, place)
    item.stash[HOLDING].since = place.mark()
    # A coordinator may have given another place than the one that was planned.
    item.user_properties[:] = [
        (key, place.name if key == "place" else value) for key, value in item.user_properties
    ]


def made_anew(item: pytest.Item, why: str) -> None:
    """The node did not get to where the test starts, and was made anew from blank flash: that is
    no retry of a test, but nothing that a report may hide.
    """
    item.user_properties.append((MADE_ANEW, " ".join(why.split())))
