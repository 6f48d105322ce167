"""The node's door by CoAP and OSCORE against aiocoap's OSCORE, in jumping time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiocoap import CHANGED, CONTENT, GET, POST, Message
from aiocoap.numbers import codes
from coap_fleet import (
    REPORT,
    UNAUTHORIZED,
    UNAVAILABLE,
    WAIT_MS,
    WHOLE,
    Fleet,
    plain,
    saying,
)  # fmt: skip
from coap_peer import DONE, message
from modem_bench import jumping
from node.errors import CoapError, DeliverTimeout, LinkError
from node.link.coap_door import CoapDoor
from node.wire import coap, receipt

Case = Callable[[Any], Awaitable[None]]


def play(fleet: Fleet, case: Case, kind: Any = CoapDoor) -> None:
    """`case(door)` with the door open, and closed behind it."""

    async def main() -> None:
        door = fleet.door(kind)
        await door.open()
        try:
            await case(door)
        finally:
            await door.close()
            await door.close()
        assert fleet.wire.closed == 1

    jumping(main)


def deliver(
    fleet: Fleet, last: bool = True, report: bytes = REPORT, kind: Any = CoapDoor
) -> bytes:
    """The receipt that a door gets for one report."""
    got: list[bytes] = []

    async def case(door: Any) -> None:
        got.append(await door.deliver(report, WHOLE, WAIT_MS, last))

    play(fleet, case, kind)
    return got[0]


def refused(fleet: Fleet, error: type[LinkError] = CoapError) -> LinkError:
    """What a door says when its report is not taken."""
    with pytest.raises(error) as caught:
        deliver(fleet)
    return caught.value


@pytest.mark.parametrize("last", [True, False])
def test_a_report_needs_one_datagram_each_way(last: bool) -> None:
    fleet = Fleet()
    assert deliver(fleet, last) == WHOLE
    ((_, raw, release),) = fleet.wire.sent
    assert len(raw) == len(REPORT) + 21, "22 with a Partial IV of two bytes"
    assert release == (2 if last else 0)
    (request,) = fleet.requests
    assert (request.code, request.payload) == (POST, REPORT)
    assert not request.opt.option_list() or all(o.number == 9 for o in request.opt.option_list())
    assert fleet.modem.opened == [("fleet.example", 5683)]


def test_a_receipt_with_items_comes_as_it_is() -> None:
    told = receipt.encode(7, [(1, 2)], [[9, receipt.COMMAND, b"ring"]], 3)
    assert deliver(Fleet(saying(told))) == told


@pytest.mark.parametrize(
    "told",
    [b"\xff", b"junk", bytes(600), receipt.encode(7, [(4, 9)]), receipt.encode(8, [(1, 3)]),
     receipt.encode(0, [])],
)  # fmt: skip
def test_what_is_no_receipt_for_the_report_is_none(told: bytes) -> None:
    refused(Fleet(saying(told)))


@pytest.mark.parametrize("code", [codes.BAD_REQUEST, codes.FORBIDDEN, codes.SERVICE_UNAVAILABLE,
                                  codes.CONTENT, codes.CONTINUE])  # fmt: skip
def test_a_sealed_refusal_is_told(code: Any) -> None:
    assert refused(Fleet(saying(b"", code))).cause == int(code)


def test_a_poll_is_an_empty_post() -> None:
    items = receipt.encode(0, [], [[9, receipt.COMMAND, b"ring"]])
    fleet = Fleet(Fleet.done, saying(items), saying(WHOLE))

    async def case(door: Any) -> None:
        assert await door.poll(WAIT_MS) == receipt.encode(0, [])
        assert await door.poll(WAIT_MS) == items
        with pytest.raises(CoapError):
            await door.poll(WAIT_MS)  # it covers what was never sent

    play(fleet, case)
    assert [request.payload for request in fleet.requests] == [b""] * 3


@pytest.mark.parametrize("times", [1, 2])
def test_a_number_that_the_fleet_has_seen_is_given_up(times: int) -> None:
    """The same report again, under a new Partial IV and a new message id."""
    fleet = Fleet(*[plain(UNAUTHORIZED)] * times, Fleet.done)
    assert deliver(fleet) == WHOLE
    assert len(set(fleet.pivs)) == len(set(fleet.mids)) == 1 + times
    assert [request.payload for request in fleet.requests] == [REPORT] * (1 + times)


def test_attack_forged_refusals_cost_two_numbers_and_no_answer() -> None:
    """RFC 8613 seals no 4.01 of an unknown context: anybody may say it."""
    error = refused(Fleet(plain(UNAUTHORIZED)))
    assert error.cause == UNAUTHORIZED
    fleet = Fleet(plain(UNAUTHORIZED, true_after_s=10))
    assert deliver(fleet) == WHOLE
    assert len(fleet.raw) == 3


def test_a_challenge_is_answered_with_its_echo() -> None:
    """RFC 9175, 2.3; the challenge and the answer have Partial IVs of the fleet's own."""
    fleet = Fleet(saying(b"", codes.UNAUTHORIZED, echo=b"a challenge"), Fleet.done)
    assert deliver(fleet) == WHOLE
    first, second = fleet.requests
    assert (first.opt.echo, second.opt.echo) == (None, b"a challenge")
    assert second.payload == REPORT
    assert len(set(fleet.pivs)) == 2


def test_a_challenge_without_end_is_given_up() -> None:
    fleet = Fleet(saying(b"", codes.UNAUTHORIZED, echo=b"again"))
    assert refused(fleet).cause == UNAUTHORIZED
    assert len(fleet.raw) == 3


def test_an_echo_of_over_40_bytes_is_not_repeated() -> None:
    fleet = Fleet(saying(b"", codes.UNAUTHORIZED, echo=bytes(41)), Fleet.done)
    assert deliver(fleet) == WHOLE
    assert fleet.requests[1].opt.echo is None


@pytest.mark.parametrize("code", [DONE, 0x45, 0x5F])
@pytest.mark.parametrize("kind", [coap.ACK, coap.CON, coap.NON])
def test_attack_forged_success_is_not_believed(code: int, kind: int) -> None:
    fleet = Fleet(plain(code, true_after_s=60, kind=kind))
    assert deliver(fleet) == WHOLE
    refused(Fleet(plain(code, kind=kind)), DeliverTimeout)


class Trusting(CoapDoor):  # type: ignore[misc]
    """Takes an unsealed 2.04 for the fleet's."""

    def _open(self, code: int, options: Any, payload: bytes) -> Any:
        if code == DONE and coap.find(options, coap.OSCORE) is None:
            return code, (), b""
        return super()._open(code, options, payload)


def test_sabotage_a_door_that_trusts_an_unsealed_success_loses_the_report() -> None:
    def drop(fleet: Fleet, mid: int, request: Message) -> None:
        fleet.wire.feed(message(coap.ACK, mid, DONE), 0.5)  # and the fleet has committed nothing

    assert deliver(Fleet(drop), kind=Trusting) == WHOLE


def test_a_fleet_without_its_database_is_told_and_not_waited_for() -> None:
    fleet = Fleet(plain(UNAVAILABLE))
    assert refused(fleet).cause == UNAVAILABLE
    assert len(fleet.wire.sent) == 1
    assert deliver(Fleet(plain(UNAVAILABLE, true_after_s=10))) == WHOLE


def test_attack_bit_flips_are_ignored_until_the_answer_comes() -> None:
    def react(fleet: Fleet, mid: int, request: Message) -> None:
        true = fleet.sealed(mid, Message(code=CHANGED))
        for bit in range(32, len(true) * 8):
            flipped = bytearray(true)
            flipped[bit // 8] ^= 1 << bit % 8
            fleet.wire.feed(bytes(flipped), 1)
        fleet.wire.feed(true, 5)

    assert deliver(Fleet(react)) == WHOLE


def test_attack_an_answer_replayed_is_not_the_next_one_s() -> None:
    held: list[bytes] = []

    def first(fleet: Fleet, mid: int, request: Message) -> None:
        held.append(fleet.sealed(mid, Message(code=CHANGED)))
        fleet.wire.feed(held[0], 1)

    def second(fleet: Fleet, mid: int, request: Message) -> None:
        for kind in (coap.ACK, coap.CON, coap.NON):
            _, code, _, _, options, payload = coap.decode(held[0])
            fleet.wire.feed(coap.encode(kind, code, mid, b"", options, payload), 1)

    async def case(door: Any) -> None:
        assert await door.deliver(REPORT, WHOLE, WAIT_MS, False) == WHOLE
        with pytest.raises(DeliverTimeout):
            await door.deliver(REPORT, WHOLE, 60_000, True)

    play(Fleet(first, second), case)


def test_a_separate_answer_is_taken_and_acknowledged() -> None:
    def react(fleet: Fleet, mid: int, request: Message) -> None:
        fleet.wire.feed(message(coap.ACK, mid), 1)
        fleet.wire.feed(fleet.sealed(4711, Message(code=CHANGED), kind=coap.CON), 100)

    fleet = Fleet(react)
    assert deliver(fleet) == WHOLE
    assert fleet.wire.replies == [message(coap.ACK, 4711)]


def blockwise(fleet: Fleet, mid: int, request: Message) -> None:
    """Takes blocks, and gives an item of 1,300 bytes."""
    if request.code == GET:
        number, _, exponent = request.opt.block2
        size = 16 << exponent
        part = ITEM[number * size : (number + 1) * size]
        answer = Message(code=CONTENT, payload=part)
        answer.opt.block2 = (number, (number + 1) * size < len(ITEM), exponent)
    else:
        more = request.opt.block1.more
        answer = Message(code=codes.CONTINUE if more else CHANGED)
        answer.opt.block1 = request.opt.block1
    fleet.wire.feed(fleet.sealed(mid, answer), 1)


ITEM = bytes(range(256)) * 5 + b"and the end"


@pytest.mark.parametrize(("most", "size"), [(512, 256), (1024, 512)])
def test_a_report_over_one_datagram_goes_in_blocks(most: int, size: int) -> None:
    report = bytes(range(256)) * 4
    fleet = Fleet(blockwise, most=most)
    assert deliver(fleet, report=report) == WHOLE
    assert b"".join(request.payload for request in fleet.requests) == report
    assert [len(request.payload) for request in fleet.requests] == [size] * (1024 // size)
    assert [r for _, _, r in fleet.wire.sent] == [0] * (1024 // size - 1) + [2]


def test_an_item_is_fetched_in_blocks() -> None:
    fleet = Fleet(blockwise)

    async def case(door: Any) -> None:
        assert await door.fetch(42, len(ITEM), WAIT_MS) == ITEM
        with pytest.raises(CoapError, match="instead of"):
            await door.fetch(42, len(ITEM) + 1, WAIT_MS)
        with pytest.raises(CoapError, match="over"):
            await door.fetch(42, len(ITEM) - 1, WAIT_MS)

    play(fleet, case)
    assert all(request.opt.uri_path == ("d", "42") for request in fleet.requests)


def test_all_tries_share_the_deadline() -> None:
    async def case(door: Any) -> None:
        with pytest.raises(LinkError):
            await door.deliver(bytes(2000), WHOLE, 60_000, True)
        assert asyncio.get_running_loop().time() <= 61

    def slow(fleet: Fleet, mid: int, request: Message) -> None:
        answer = Message(code=codes.CONTINUE)
        answer.opt.block1 = request.opt.block1
        fleet.wire.feed(fleet.sealed(mid, answer), 25)

    play(Fleet(slow), case)


def test_the_sequence_goes_on_where_a_contact_ended() -> None:
    fleet = Fleet()

    async def main() -> None:
        for _ in range(3):
            door = fleet.door()
            await door.open()
            await door.deliver(REPORT, WHOLE, WAIT_MS, True)
            await door.close()
            with pytest.raises(CoapError, match="not open"):
                await door.poll(WAIT_MS)

    jumping(main)
    assert [int.from_bytes(piv, "big") for piv in fleet.pivs] == [0, 1, 2]
