"""Store and forward for one platform: what is stored is queued, what is queued is told in its
order until the platform has answered. A kill in between repeats a message under its own name.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from fleet.alarms.delivery import DeliveryError
from fleet.bridge.errors import BridgeError
from fleet.bridge.north import outbox
from fleet.bridge.north.outbox import Out
from fleet.bridge.north.targets import HJ212, SL651, Target
from fleet.bridge.tables import BridgeTarget
from fleet.db.base import Database
from fleet.legacy.protocols.writing import DoesNotFit
from fleet.registry.operations import now_us

KNOWN_US = 60_000_000
PATIENCE = 5  # tries of one message before it is asked whether it is the message


class Platform(Protocol):
    """A way to a platform."""

    def deliver(self, messages: list[Out], numbers: Mapping[int, str]) -> None:
        """Return when it has taken them all; DeliveryError, DoesNotFit."""

    def close(self) -> None:
        """Give back the connection."""


class Told(NamedTuple):
    """Of one go: messages that were sent and set aside; whether more can be sent at once."""

    sent: int = 0
    refused: int = 0
    more: bool = False


class Forwarder:
    """Serves one target. One at a time of a name."""

    def __init__(
        self, database: Database, target: Target, platform: Platform, at_once: int,
        clock: Callable[[], int] = now_us,
    ) -> None:  # fmt: skip
        self._database, self._target = database, target
        self._platform, self._at_once, self._clock = platform, at_once, clock
        self._numbers: dict[int, str] = {}
        self._known_us = 0  # when the assets were looked up

    def go(self) -> Told:
        """Queue what is new and send some; BridgeError where the target's file does not fit."""
        name = self._target.name
        more = False
        with self._database.read() as session:
            if not 0 <= self._clock() - self._known_us < KNOWN_US:
                self._numbers = outbox.assets_of(session, self._target)
                self._known_us = self._clock()
            is_news = outbox.has_news(session, name)
        if is_news:
            with self._database.begin() as session:
                more = outbox.scan(session, self._target, self._numbers, self._clock())
        with self._database.read() as session:
            if session.get_one(BridgeTarget, name).retry_us > self._clock():
                return Told(more=more)
            waiting = outbox.due(session, name, self._at_once + 1)
        if not waiting:
            return Told(more=more)
        head, tail = waiting[: self._at_once], waiting[self._at_once :]
        if head[0].attempts >= PATIENCE:
            return self._doubted(head[0], (head[1:] or tail)[:1])
        return self._sent(head, more or bool(tail))

    def _sent(self, messages: list[Out], more: bool) -> Told:
        known = [one for one in messages if self._is_known(one)]
        gone = len(messages) - len(known)
        if known:
            try:
                self._platform.deliver(known, self._numbers)
            except DoesNotFit as e:
                if len(known) > 1:
                    raise BridgeError(str(e)) from None
                self._set_aside(known[0], str(e))
                return Told(0, gone + 1, more)
            except (DeliveryError, ValueError) as e:
                with self._database.begin() as session:
                    outbox.mark_failed(
                        session, self._target.name, [one.id for one in known], str(e),
                        self._clock(),
                    )  # fmt: skip
                return Told(0, gone)
            with self._database.begin() as session:
                outbox.mark_sent(
                    session, self._target.name, [one.id for one in known], self._clock()
                )
        return Told(len(known), gone, more)

    def _is_known(self, message: Out) -> bool:
        """A message of a station that the file names no more is set aside, not dropped."""
        words = {word.quantity for word in self._target.words}
        if self._target.stations and message.asset_id not in self._numbers:
            self._set_aside(message, f"asset id:{message.asset_id} is no station of the target")
            return False
        if words and any(quantity not in words for quantity, _, _ in message.values):
            self._set_aside(message, "a quantity that the target's file has no word for any more")
            return False
        return True

    def _doubted(self, first: Out, then: list[Out]) -> Told:
        """The oldest message was tried often. Where the platform takes the next one it is well,
        and if it then still does not take the first, that one must not hold up the rest.
        """
        if not then:
            return self._sent([first], False)
        after = self._sent(then, True)
        if not after.sent:
            return after
        told = self._sent([first], True)
        if not told.sent and not told.refused:
            self._set_aside(first, f"not taken {first.attempts + 1} times, while others are")
            with self._database.begin() as session:  # the platform is well
                outbox.mark_sent(session, self._target.name, [], self._clock())
            told = Told(0, 1, True)
        return Told(after.sent + told.sent, after.refused + told.refused, True)

    def _set_aside(self, message: Out, why: str) -> None:
        with self._database.begin() as session:
            outbox.mark_refused(session, message.id, why, self._clock())


def connect(target: Target) -> tuple[Platform, int]:
    """The way to a target's platform, and how many messages it takes at once; MappingFault."""
    if target.kind == HJ212:
        from fleet.bridge.north import hj212

        return hj212.HjPlatform(target), hj212.AT_ONCE
    if target.kind == SL651:
        from fleet.bridge.north import sl651

        return sl651.HydroPlatform(target), sl651.AT_ONCE
    from fleet.bridge.north import webhook

    return webhook.HookPlatform(target), webhook.AT_ONCE
