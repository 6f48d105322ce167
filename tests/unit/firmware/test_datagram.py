"""UDP through the modem: whole datagrams, bounded queues, release assistance; in jumping time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import Bench, jumping
from node.errors import LinkError, SocketError
from node.link.modems import open_modem
from scripted_modem import ScriptedModem
from twin_play import NASTY, UdpEcho

from hil.virtual.modem import ModemTwin

FAMILIES = ["bc660k", "ec200"]
Case = Callable[[Any, Any], Awaitable[None]]
TwinCase = Callable[[Any, Bench, UdpEcho], Awaitable[None]]


def opened(number: int = 0) -> ScriptedModem:
    """A BC660K-GL whose QIOPEN succeeds."""
    modem = ScriptedModem()
    modem.after[f'AT+QIOPEN=0,{number},"UDP","192.0.2.7",5683,0,1'] = (1.0, f"+QIOPEN: {number},0")
    return modem


def run(modem: ScriptedModem, case: Case) -> None:
    async def main() -> None:
        driver: Any = open_modem("bc660k", modem)
        try:
            await case(driver, await driver.datagram("192.0.2.7", 5683, 60_000))
        finally:
            driver.at.stop()

    jumping(main)


def play(family: str, case: TwinCase, *, seed: int = 1) -> None:
    async def main() -> None:
        bench = Bench(ModemTwin(family, seed=seed, chatter=0.5, attach_delay_s=(1, 2)))
        async with UdpEcho() as echo:
            bench.twin.power_on()
            modem: Any = open_modem(family, bench)
            await modem.wake()
            await modem.attach("", 180_000)
            await case(modem, bench, echo)
            await modem.sleep()
            bench.twin.power_off()
        assert bench.sockets == 0

    jumping(main)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES)
def test_each_datagram_comes_back_whole_whatever_is_in_it(family: str, seed: int) -> None:
    chance = random.Random(seed)
    payloads = [NASTY, b"x", chance.randbytes(50), chance.randbytes(1024), bytes(range(256))]

    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("localhost", echo.port, 60_000)
        for release in (0, 1, 2):
            for payload in payloads:
                await socket.send(payload, release)
                assert await asyncio.wait_for(socket.recv(), 60) == payload
        assert echo.got == 3 * payloads
        assert socket.sent == socket.received == 3 * sum(map(len, payloads))
        await socket.close()
        await socket.close()

    play(family, case, seed=seed)


@pytest.mark.parametrize("family", FAMILIES)
def test_two_sockets_keep_their_datagrams_apart(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        one = await modem.datagram("localhost", echo.port, 60_000)
        other = await modem.datagram("localhost", echo.port, 60_000)
        await one.send(b"one")
        await other.send(b"other")
        assert await asyncio.wait_for(one.recv(), 60) == b"one"
        assert await asyncio.wait_for(other.recv(), 60) == b"other"

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_name_is_looked_up_once(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        for _ in range(3):
            socket = await modem.datagram("localhost", echo.port, 60_000)
            await socket.close()
        assert sum("QIDNSGIP" in line for line in bench.twin.log) == 1

    play(family, case)


def test_release_assistance_goes_with_the_data_in_hex_and_text_is_restored() -> None:
    modem = opened()
    modem.replies["AT+QISEND=0,3,0d0a22,1"] = "OK\nSEND OK"
    modem.replies["AT+QISEND=0,3,0d0a22,2"] = "OK\nSEND OK"

    async def case(driver: Any, socket: Any) -> None:
        for release in (1, 2):
            del modem.log[:]
            await socket.send(b'\r\n"', release)
            assert modem.log == [
                'AT+QICFG="dataformat",1,0',
                f"AT+QISEND=0,3,0d0a22,{release}",
                'AT+QICFG="dataformat",0,0',
            ]

    run(modem, case)


def test_a_datagram_too_long_for_a_line_is_released_by_a_packet_of_its_own() -> None:
    modem = opened()
    modem.replies["AT+QISEND=0,201"] = "> \nOK\nSEND OK"

    async def case(driver: Any, socket: Any) -> None:
        del modem.log[:]
        await socket.send(bytes(201), 2)
        assert not modem.count("AT+QNBIOTRAI")
        await socket.send(bytes(201), 1)
        assert modem.log[-1] == "AT+QNBIOTRAI=1"

    run(modem, case)


def test_a_refused_send_keeps_the_modems_error_and_the_text_format() -> None:
    modem = opened()
    modem.replies["AT+QISEND=0,1,78,1"] = "+CME ERROR: 572"

    async def case(driver: Any, socket: Any) -> None:
        with pytest.raises(SocketError) as caught:
            await socket.send(b"x", 1)
        assert caught.value.cause == 572
        assert modem.log[-1] == 'AT+QICFG="dataformat",0,0'
        assert socket.sent == 0

    run(modem, case)


def test_an_open_that_fails_forgets_the_address_and_frees_the_number() -> None:
    modem = ScriptedModem()
    text = 'AT+QIOPEN=0,0,"UDP","192.0.2.7",5683,0,1'
    modem.after['AT+QIDNSGIP=0,"fleet.example"'] = (0.5, "+QIDNSGIP: 192.0.2.7")
    modem.after[text] = (1.0, "+QIOPEN: 0,561")

    async def main() -> None:
        driver: Any = open_modem("bc660k", modem)
        with pytest.raises(SocketError) as caught:
            await driver.datagram("fleet.example", 5683, 60_000)
        assert caught.value.cause == 561
        assert not driver.names
        modem.after[text] = (1.0, "+QIOPEN: 0,0")
        assert (await driver.datagram("fleet.example", 5683, 60_000)).number == 0
        driver.at.stop()

    jumping(main)


def test_a_number_of_the_life_before_is_freed_though_its_close_takes_time() -> None:
    modem = ScriptedModem()
    results = iter((563, 563, 0))
    text = 'AT+QIOPEN=0,0,"UDP","192.0.2.7",5683,0,1'

    def opening() -> str:
        modem.after[text] = (0.5, f"+QIOPEN: 0,{next(results)}")
        return "OK"

    modem.replies[text] = opening

    async def case(driver: Any, socket: Any) -> None:
        assert modem.count("AT+QICLOSE=0") == 2

    run(modem, case)


def test_what_nobody_reads_is_bounded_and_counted() -> None:
    modem = opened()

    async def case(driver: Any, socket: Any) -> None:
        for n in range(10):
            modem.push(b'\r\n+QIURC: "recv",0,1000,%s\r\n' % (bytes([n]) * 1000))
            await asyncio.sleep(1)
        assert socket.dropped == 6
        assert [(await socket.recv())[0] for _ in range(4)] == [0, 1, 2, 3]
        modem.push(b'\r\n+QIURC: "recv",0,2,ok\r\n')
        assert await asyncio.wait_for(socket.recv(), 5) == b"ok"

    run(modem, case)


def test_a_restart_of_the_modem_fails_the_reader_and_the_writer() -> None:
    modem = opened()

    async def case(driver: Any, socket: Any) -> None:
        modem.later(5, b'\r\n+QIURC: "recv",0,2,ok\r\n\r\nRDY\r\n')
        assert await asyncio.wait_for(socket.recv(), 30) == b"ok"
        with pytest.raises(SocketError):
            await asyncio.wait_for(socket.recv(), 30)
        with pytest.raises(SocketError):
            await socket.send(b"x")
        await socket.close()
        assert not modem.count("AT+QICLOSE")

    run(modem, case)


def test_a_datagram_over_the_modems_limit_is_refused_before_a_byte_is_sent() -> None:
    modem = opened()

    async def case(driver: Any, socket: Any) -> None:
        before = len(modem.written)
        with pytest.raises(SocketError):
            await socket.send(bytes(1025))
        assert len(modem.written) == before

    run(modem, case)


def test_a_modem_that_closes_the_socket_is_heard() -> None:
    modem = opened()

    async def case(driver: Any, socket: Any) -> None:
        modem.say('+QIURC: "closed",0')
        with pytest.raises(SocketError):
            await asyncio.wait_for(socket.recv(), 5)
        await socket.close()
        assert modem.log[-1] == "AT+QICLOSE=0"

    run(modem, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_udp_and_tcp_share_the_modems_numbers(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        sockets = [await modem.datagram("127.0.0.1", echo.port, 60_000) for _ in modem.SOCKET_IDS]
        assert sorted(socket.number for socket in sockets) == list(modem.SOCKET_IDS)
        with pytest.raises(SocketError):
            await modem.datagram("127.0.0.1", echo.port, 60_000)
        with pytest.raises(SocketError):
            await modem.connect("127.0.0.1", echo.port, 60_000)

    play(family, case)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6), st.integers(1, 64))
def test_datagrams_keep_their_bounds_however_the_line_is_cut(
    payloads: list[bytes], chunk: int
) -> None:
    modem = opened()
    line = b"".join(b'\r\n+QIURC: "recv",0,%d,%s\r\n' % (len(p), p) for p in payloads)

    async def case(driver: Any, socket: Any) -> None:
        for at in range(0, len(line), chunk):
            modem.push(line[at : at + chunk])
            await asyncio.sleep(0)
        for payload in payloads:
            assert await asyncio.wait_for(socket.recv(), 5) == payload

    run(modem, case)


def test_a_cancelled_send_leaves_a_modem_that_the_next_one_can_use() -> None:
    async def case(modem: Any, bench: Bench, echo: UdpEcho) -> None:
        socket = await modem.datagram("127.0.0.1", echo.port, 60_000)
        for tenth in range(12):
            task = asyncio.create_task(socket.send(bytes(200), tenth % 3))
            await asyncio.sleep(tenth * 0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        try:
            await socket.send(b"last", 1)
        except LinkError:
            await socket.close()
            socket = await modem.datagram("127.0.0.1", echo.port, 60_000)
            await socket.send(b"last", 1)
        while await asyncio.wait_for(socket.recv(), 60) != b"last":
            pass

    play("bc660k", case)
