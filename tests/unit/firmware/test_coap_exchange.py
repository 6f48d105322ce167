"""The node's CoAP exchanges in jumping time: when it repeats, and which answer it takes."""

import asyncio
import itertools
import os
from typing import Any

import pytest
from coap_peer import DONE, Wire, message, mid_of, play
from modem_bench import jumping
from node.errors import CoapError, DeliverTimeout, SocketError
from node.link import coap as exchange
from node.wire.coap import ACK, CON, NON, POST, RST

LONG_MS = 600_000


def anything(code: int, options: Any, payload: bytes) -> tuple[int, bytes]:
    return code, payload


def only(wanted: bytes) -> Any:
    """What binds an answer to its request, as OSCORE does."""
    return lambda code, options, payload: (code, payload) if payload == wanted else None


def ask(
    coap: Any, accept: Any = anything, deadline_ms: int = LONG_MS, release: int = 0
) -> "asyncio.Task[Any]":
    return asyncio.create_task(
        coap.ask(POST, ((9, b"\x09\x01abc"),), b"sealed", accept, deadline_ms, release)
    )


async def request_of(wire: Wire) -> int:
    """The message id of the newest request, once it was sent."""
    await asyncio.sleep(0.01)
    return mid_of(wire.requests[-1])


@pytest.mark.parametrize("ecl", range(3))
@pytest.mark.parametrize("chance", [0, 128, 255])
def test_it_repeats_by_the_coverage_level(
    ecl: int, chance: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 7252, 4.2: ACK_TIMEOUT times 1 to 1.5, doubled each time, four repeats."""
    first_s = exchange.ACK_MS[ecl] / 1000 * (1 + chance / 512)
    assert first_s / (1 + chance / 512) == (15, 20, 40)[ecl]

    async def case(wire: Wire, coap: Any) -> None:
        with monkeypatch.context() as m:
            m.setattr(os, "urandom", lambda n: bytes((chance,)) * n)
            with pytest.raises(DeliverTimeout):
                await coap.ask(POST, (), b"sealed", anything, 10_000_000, 2)
        times = [at for at, _, _ in wire.sent]
        waits = [b - a for a, b in itertools.pairwise(times)]
        assert waits == pytest.approx([first_s * factor for factor in (1, 2, 4, 8)], abs=0.02)
        assert asyncio.get_running_loop().time() == pytest.approx(31 * first_s, abs=0.1)
        assert len({data for _, data, _ in wire.sent}) == 1, "a repeat is the same bytes"
        assert {release for _, _, release in wire.sent} == {2}
        assert coap.sent == 5

    play(case, exchange.ACK_MS[ecl])


def test_an_answer_with_the_acknowledgement_ends_it() -> None:
    async def case(wire: Wire, coap: Any) -> None:
        task = ask(coap)
        mid = await request_of(wire)
        wire.feed(message(ACK, mid, DONE, b"ok"))
        assert await task == (DONE, b"ok")
        assert len(wire.sent) == 1
        assert wire.sent[0][1][:2] == b"\x40\x02", "confirmable, POST, no token"

    play(case)


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_separate_answer_is_acknowledged_and_its_repeat_again(acknowledged: bool) -> None:
    async def case(wire: Wire, coap: Any) -> None:
        task = ask(coap)
        mid = await request_of(wire)
        if acknowledged:
            wire.feed(message(ACK, mid), 5)
        wire.feed(message(CON, 4711, DONE, b"ok"), 300 if acknowledged else 5)
        assert await task == (DONE, b"ok")
        assert len(wire.requests) == 1, "what is acknowledged is not repeated"
        assert wire.replies == [message(ACK, 4711)]
        task = ask(coap, only(b"other"))
        mid = await request_of(wire)
        wire.feed(message(CON, 4711, DONE, b"ok"))  # our acknowledgement was lost
        wire.feed(message(ACK, mid, DONE, b"other"), 1)
        assert await task == (DONE, b"other")
        assert wire.replies == [message(ACK, 4711)] * 2

    play(case)


def test_a_repeat_of_a_separate_answer_is_not_the_next_one_s() -> None:
    """Whoever asks may believe an unprotected 4.01: a repeat of it is no second one."""

    async def case(wire: Wire, coap: Any) -> None:
        for kind, mid in ((CON, 4711), (NON, 4712)):
            task = ask(coap)
            await request_of(wire)
            wire.feed(message(kind, mid, 0x81))
            assert await task == (0x81, b"")
            task = ask(coap)
            request = await request_of(wire)
            wire.feed(message(kind, mid, 0x81))
            wire.feed(message(ACK, request, DONE, b"ok"), 1)
            assert await task == (DONE, b"ok")

    play(case)


def test_a_separate_answer_that_is_not_confirmable_is_not_acknowledged() -> None:
    async def case(wire: Wire, coap: Any) -> None:
        task = ask(coap)
        wire.feed(message(ACK, await request_of(wire)))
        wire.feed(message(NON, 4711, DONE, b"ok"), 20)
        assert await task == (DONE, b"ok")
        assert len(wire.sent) == 1

    play(case)


def test_attack_forged_messages_end_nothing() -> None:
    async def case(wire: Wire, coap: Any) -> None:
        task = ask(coap, only(b"true"))
        mid = await request_of(wire)
        other = mid + 1 & 0xFFFF
        for forged in (
            message(RST, other),
            message(ACK, other),
            message(ACK, other, DONE, b"true"),
            message(ACK, mid, DONE, b"false"),
            message(ACK, mid, POST, b"true"),  # a request's code in an acknowledgement
            message(CON, 1, POST, b"true"),
            message(CON, 2, DONE, b"false"),
            message(NON, 3, DONE, b"false"),
            message(CON, 4),  # a ping
            b"\x61\x44" + mid.to_bytes(2, "big") + b"t\xfftrue",  # a token that we never used
            b"", b"\x40", b"\xff" * 40, bytes(2000), b"\x49\x44\0\0" + bytes(9),
        ):  # fmt: skip
            wire.feed(forged)
        await asyncio.sleep(10)
        assert not task.done()
        assert sorted(wire.replies) == [message(RST, 1), message(RST, 2), message(RST, 4)]
        await asyncio.sleep(20)
        assert len(wire.requests) == 2, "a forged acknowledgement stopped the repeats"
        wire.feed(message(ACK, mid, DONE, b"true"))
        assert await task == (DONE, b"true")

    play(case)


def test_a_reset_ends_it_with_the_transmission_that_it_answers() -> None:
    async def case(wire: Wire, coap: Any) -> None:
        task = ask(coap)
        wire.feed(message(RST, await request_of(wire)))
        with pytest.raises(CoapError, match="resets"):
            await task
        assert len(wire.sent) == 1
        assert 15 <= asyncio.get_running_loop().time() <= 23

    play(case)


@pytest.mark.parametrize("reset", [True, False])
def test_attack_a_forged_refusal_does_not_keep_the_answer_out(reset: bool) -> None:
    async def case(wire: Wire, coap: Any) -> None:
        def accept(code: int, options: Any, payload: bytes) -> tuple[int, bytes] | None:
            if code == 0xA3:
                coap.refusal = CoapError("refused", code)
                return None
            return code, payload

        for answered in (True, False):
            task = ask(coap, accept)
            mid = await request_of(wire)
            wire.feed(message(RST, mid) if reset else message(ACK, mid, 0xA3))
            if answered:
                wire.feed(message(ACK, mid, DONE, b"true"), 14)
                assert await task == (DONE, b"true")
            else:
                with pytest.raises(CoapError):
                    await task

    play(case)


def test_a_refusal_behind_an_acknowledgement_does_not_keep_it_awake() -> None:
    """As from a server that has asked its database in vain."""

    async def case(wire: Wire, coap: Any) -> None:
        def accept(code: int, options: Any, payload: bytes) -> None:
            coap.refusal = CoapError("refused", code)

        loop = asyncio.get_running_loop()
        for after_s, least, most in ((2, 15, 15.1), (100, 100, 100.1)):
            begun = loop.time()
            task = ask(coap, accept)
            wire.feed(message(ACK, await request_of(wire)))
            wire.feed(message(CON, 4711, 0xA3), after_s)
            with pytest.raises(CoapError):
                await task
            assert least <= loop.time() - begun <= most

    play(case)


@pytest.mark.parametrize("acknowledged", [True, False])
@pytest.mark.parametrize("deadline_ms", [1000, 40_000, 180_000])
def test_silence_ends_at_the_deadline(deadline_ms: int, acknowledged: bool) -> None:
    async def case(wire: Wire, coap: Any) -> None:
        task = ask(coap, anything, deadline_ms)
        if acknowledged:
            wire.feed(message(ACK, await request_of(wire)))
        with pytest.raises(DeliverTimeout, match="no answer within"):
            await task
        assert asyncio.get_running_loop().time() == pytest.approx(deadline_ms / 1000, abs=0.1)

    play(case)


def test_attack_a_flood_of_junk_does_not_move_the_deadline() -> None:
    class Flood(Wire):
        async def recv(self) -> bytes:
            loop: Any = asyncio.get_running_loop()
            loop.jump.now_s += 0.05  # what it takes to read one; there is always a next
            assert loop.time() < 200, "the wait does not end"
            return b"junk"

    async def main() -> None:
        wire = Flood()
        with pytest.raises(DeliverTimeout):
            await exchange.Coap(wire, 15_000).ask(POST, (), b"x", anything, 60_000)
        assert 2 <= len(wire.sent) <= 3, "it repeats nevertheless"

    jumping(main)


def test_each_request_has_a_message_id_of_its_own_and_they_wrap() -> None:
    async def case(wire: Wire, coap: Any) -> None:
        coap._mid = 0xFFFD
        for _ in range(4):
            task = ask(coap)
            wire.feed(message(ACK, await request_of(wire), DONE))
            await task
        await coap.tell(POST, (), b"gone", 1)
        assert [mid_of(data) for data in wire.requests] == [0xFFFE, 0xFFFF, 0, 1, 2]
        assert wire.requests[-1] == message(NON, 2, POST, b"gone")
        assert wire.sent[-1][2] == 1

    play(case)


def test_a_socket_that_fails_ends_it() -> None:
    class Broken(Wire):
        async def recv(self) -> bytes:
            raise SocketError("gone", 566)

    async def main() -> None:
        with pytest.raises(SocketError):
            await exchange.Coap(Broken(), 15_000).ask(POST, (), b"x", anything, LONG_MS)

    jumping(main)
