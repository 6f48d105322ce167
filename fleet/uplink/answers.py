"""What a committed message is answered with: a receipt, and what is queued for its node."""

from collections.abc import Iterable
from typing import NamedTuple

from fleet.control.operations import Item, Pending
from fleet.uplink.ranges import Ranges
from fleet.wire import cbor, receipt

MQTT_ITEMS = 3000  # bytes of items in a receipt
COAP_RECEIPT = 640  # bytes: a datagram that no path of 1,280 bytes cuts, with room to spare
_FRAME = 12  # map keys 3 and 4, array head, a number that waits

NOTHING = Pending([], 0)


class Outcome(NamedTuple):
    """What became of a message.

    `kind`: stored, repeated, polled, struck, replayed, undecodable, poison, unknown, refused, or
    claimed; then `receipt` is the answer to the claim.
    Of the first three `receipt` is None when there is nothing to say but that all is committed,
    which CoAP says by no payload. `item` is what was fetched.
    """

    kind: str
    receipt: bytes | None = None
    item: bytes | None = None


class Answer(NamedTuple):
    """A receipt, None as of `Outcome`, and the numbers of the items in it."""

    receipt: bytes | None
    handed: list[int]


PLAIN = Answer(None, [])


def by_mqtt(epoch: int, ranges: Ranges, pending: Pending, time: int = 0) -> Answer:
    """Items go as a whole; one that is too large holds back those behind it. A report without
    records is answered by a receipt without ranges: its node waits for one. `time` in s since
    1970, for a node that asks for it, else 0.
    """
    covered = ranges[: receipt.MAX_RANGES]
    items = []
    room = MQTT_ITEMS
    for item in pending.items:
        room -= _size(item)
        if room < 0 or len(item.payload) > receipt.MAX_PAYLOAD:
            break
        items.append(item)
    waiting = _behind(pending, items)
    return Answer(_encoded(epoch, covered, items, waiting, time), _numbers(items))


def by_coap(epoch: int, ranges: Ranges, pending: Pending, time: int = 0) -> Answer:
    """All in COAP_RECEIPT bytes: first the ranges, then the items; of a large one its size."""
    covered = ranges[: receipt.MAX_RANGES]
    whole = len(covered) == len(ranges)
    if whole and not pending.items and not pending.waiting and not time:
        return PLAIN
    while len(raw := _encoded(epoch, covered, [], 0, time)) > COAP_RECEIPT:
        covered = covered[: len(covered) // 2]  # the rest is repeated, and receipted then
    room = COAP_RECEIPT - len(raw) - _FRAME
    items = []
    for item in pending.items:
        room -= _size(item)
        if room < 0:
            break
        items.append(item)
    raw = _encoded(epoch, covered, items, _behind(pending, items), time)
    return Answer(raw, _numbers(items))


def _behind(pending: Pending, items: list[Item]) -> int:
    return pending.waiting + len(pending.items) - len(items)


def _numbers(items: list[Item]) -> list[int]:
    return [item.number for item in items]


def _encoded(epoch: int, covered: Ranges, items: Iterable[Item], waiting: int, time: int) -> bytes:
    given = [(item.number, item.kind, _payload(item)) for item in items]
    return receipt.encode(epoch if covered else 0, covered, given, waiting, time)


def _payload(item: Item) -> bytes | int:
    return item.payload if len(item.payload) <= receipt.MAX_PAYLOAD else len(item.payload)


def _size(item: Item) -> int:
    return len(cbor.encode([item.number, item.kind, _payload(item)]))
