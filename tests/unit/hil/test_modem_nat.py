"""The operator's NAT: another public port after silence and after power saving."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from contact import State
from modem_bench import Bench
from twin_play import UdpEcho
from udp_contact import contact

from hil.virtual.modem.nat import OLD_MOST, NatOptions
from hil.virtual.modem.scenario import Scenario

FAMILIES = ["bc660k", "bc95", "ec200"]
TAU_S = 86_400


async def exchange(socket: Any, data: bytes) -> None:
    """Send, and get it back."""
    await socket.send(data)
    assert await asyncio.wait_for(socket.recv(), 60) == data


@pytest.mark.parametrize("family", FAMILIES)
def test_a_silence_longer_than_the_timeout_changes_the_port(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        for n, seconds in enumerate((0, 100, 100, 130, 0)):
            await asyncio.sleep(seconds)
            await exchange(socket, bytes([n]))
        first, second, third, fourth, fifth = echo.peers
        assert first == second == third  # each datagram keeps it alive
        assert fourth != third
        assert fifth == fourth
        assert bench.twin.bridge.nat.rebound == 1

    contact(family, case, Scenario())  # RFC 4787: two minutes


def test_a_scenario_may_have_an_impatient_nat_with_many_addresses() -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        for n in range(6):
            await exchange(socket, bytes([n]))
            await asyncio.sleep(15)
        assert [host for host, _ in echo.peers] == [f"127.0.0.{1 + n % 3}" for n in range(6)]
        assert len(set(echo.peers)) == 6
        assert bench.twin.bridge.nat.rebound == 5

    contact("bc660k", case, Scenario(nat=NatOptions(timeout_s=10, addresses=3)))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_sent_to_a_forgotten_port_never_arrives(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        await exchange(socket, b"a")
        down = bench.twin.ledger.mark().down_octets
        await asyncio.sleep(60)
        echo.transport.sendto(b"too late", echo.peers[0])  # before anything went out again
        await asyncio.sleep(30)
        assert bench.twin.bridge.nat.stale == 1
        await exchange(socket, b"b")
        echo.transport.sendto(b"to where it was", echo.peers[0])
        await asyncio.sleep(10)
        assert bench.twin.bridge.nat.stale == 2
        assert bench.twin.ledger.mark().down_octets == down + 29  # the radio never heard of them
        echo.transport.sendto(b"to where it is", echo.peers[-1])
        assert await asyncio.wait_for(socket.recv(), 20) == b"to where it is"

    contact(family, case, Scenario(nat=NatOptions(timeout_s=30)))


def test_what_comes_in_keeps_no_mapping_alive() -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        await exchange(socket, b"a")
        for _ in range(2):
            await asyncio.sleep(20)
            echo.transport.sendto(b"news", echo.peers[0])
        assert await asyncio.wait_for(socket.recv(), 20) == b"news"
        await asyncio.sleep(20)
        assert bench.twin.bridge.nat.stale == 1

    contact("bc660k", case, Scenario(nat=NatOptions(timeout_s=30)))


@pytest.mark.parametrize("family", ["bc660k", "bc95"])
def test_after_power_saving_the_peer_sees_another_port(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        assert await modem.power_saving(TAU_S, 0) is not None
        for n in range(4):
            socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
            await socket.send(bytes([n]) * 47, 2)
            assert await asyncio.wait_for(socket.recv(), 30) == bytes([n]) * 47
            await modem.sleep()
            await asyncio.sleep(30)
            assert bench.twin.saving.in_psm
            assert bench.sockets == 0  # nothing real holds the board's time while it sleeps
            lost = bench.twin.air.lost
            echo.transport.sendto(b"a push while it sleeps", echo.peers[-1])
            await asyncio.sleep(30)
            assert bench.twin.air.lost + bench.twin.bridge.nat.stale == lost + 1
            await asyncio.sleep(3600)
            await modem.wake(State())
            await modem.attach("", 180_000)
        assert len(set(echo.peers)) == 4

    contact(family, case, Scenario(nat=NatOptions(timeout_s=7200)))


def test_a_socket_that_lives_through_power_saving_gets_another_port_as_well() -> None:
    """The host keeps a BC660K awake; the network has let it go to PSM all the same."""

    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        assert await modem.power_saving(TAU_S, 0) is not None
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        for n in range(3):
            await exchange(socket, bytes([n]))
            await asyncio.sleep(60)
            assert bench.twin.saving.in_psm
        assert len(set(echo.peers)) == 3
        assert bench.twin.bridge.nat.rebound == 2
        echo.transport.sendto(b"to where it was", echo.peers[1])
        await asyncio.sleep(30)
        assert bench.twin.bridge.nat.stale == 1

    contact("bc660k", case, Scenario(nat=NatOptions(timeout_s=7200)))


def test_an_answer_that_is_late_for_its_socket_is_dropped_by_the_modem() -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        await socket.send(b"a question")
        await asyncio.sleep(5)
        await socket.close()
        echo.transport.sendto(b"an answer", echo.peers[0])
        await asyncio.sleep(10)
        again = await modem.datagram("127.0.0.1", echo.port, 75_000)
        await exchange(again, b"another")  # and this socket never sees it
        assert bench.twin.bridge.nat.stale == 0
        assert echo.peers[1] != echo.peers[0]

    contact("bc660k", case, Scenario())


def test_ports_that_are_no_more_are_not_hoarded() -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        for n in range(OLD_MOST + 6):
            socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
            await exchange(socket, bytes([n]))
            await socket.close()
        nat = bench.twin.bridge.nat
        assert len(nat._old) == OLD_MOST
        bench.twin.set_radio(False)
        assert not nat._old

    contact("bc95", case, Scenario())


@pytest.mark.parametrize("family", ["bc660k", "bc95"])
def test_a_datagram_is_repeated_though_the_modem_went_to_power_saving_meanwhile(
    family: str,
) -> None:
    """The answer was lost, and a BC95 drops its sockets in PSM: the driver opens another."""

    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        assert await modem.power_saving(TAU_S, 0) is not None
        socket = await modem.datagram("127.0.0.1", echo.port, 75_000)
        for n in range(4):
            with lossy(bench, n % 2):
                await socket.send(b"again", 2)
                await asyncio.sleep(40)
            assert bench.twin.saving.in_psm
        got = [await asyncio.wait_for(socket.recv(), 1) for _ in range(2)]
        assert got == [b"again"] * 2
        await exchange(socket, b"awake")

    contact(family, case, Scenario())


@contextlib.contextmanager
def lossy(bench: Bench, loses: int) -> Iterator[None]:
    """Every packet gets lost meanwhile."""
    journeys = bench.twin.air.journeys
    journeys.lost = lambda: bool(loses)  # type: ignore[method-assign]
    yield
    del journeys.lost
