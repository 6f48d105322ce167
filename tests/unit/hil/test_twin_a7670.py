"""The A7670 twin by raw AT lines: socket service, CIP sockets, pushed and fetched data, sleep."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from modem_bench import Bench, Echo
from twin_play import (
    ERROR,
    NASTY,
    OK,
    Case,
    UdpEcho,
    ask,
    asleep,
    attached,
    booted,
    exactly,
    registered,
    silence,
)
from twin_play import play as play_family

from hil.virtual.modem import State
from hil.virtual.modem.inbox import MOST


def play(case: Case, **options: Any) -> None:
    play_family("a7670", case, **options)


async def active(bench: Bench) -> None:
    await attached(bench)
    assert await ask(bench, "AT+NETOPEN") == OK
    await bench.until(b"\r\n+NETOPEN: 0\r\n")


async def opened(bench: Bench, port: int, host: str = "localhost") -> bytes:
    assert await ask(bench, f'AT+CIPOPEN=0,"TCP","{host}",{port}') == OK
    await bench.until(b"\r\n+CIPOPEN: 0,", 120)
    return await bench.until(b"\r\n")


async def send(bench: Bench, data: bytes, peer: str = "") -> bytes:
    assert await ask(bench, f"AT+CIPSEND=0,{len(data)}{peer}", b"> ") == b"\r\n> "
    bench.write(data)
    await bench.until(OK)
    await bench.until(b"\r\n+CIPSEND: 0,%d," % len(data))
    return await bench.until(b"\r\n")


async def fetch(bench: Bench, most: int = 1500) -> tuple[bytes, int]:
    """Data of CIPRXGET=2, and how much is left."""
    bench.write(f"AT+CIPRXGET=2,0,{most}\r".encode())
    await bench.until(b"\r\n+CIPRXGET: 2,0,")
    count, left = (int(text) for text in (await bench.until(b"\r\n")).split(b","))
    data = await exactly(bench, count)
    assert (await bench.until(b"OK\r\n")).endswith(OK)
    return data, left


async def fetch_all(bench: Bench, length: int) -> bytes:
    got = b""
    while len(got) < length:
        got += (await fetch(bench))[0]
        if len(got) < length and b"+CIPRXGET: 4,0,0\r\n" in await ask(bench, "AT+CIPRXGET=4,0"):
            await bench.until(b"\r\n+CIPRXGET: 1,0\r\n")
    return got


def test_boot_noise() -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"AT\r")  # too early: lost
        noise = await bench.until(b"PB DONE\r\n")
        assert b"\r\n*ATREADY: 1\r\n" in noise
        assert OK not in noise
        await silence(bench, 1)
        assert await ask(bench, "AT") == b"AT\r" + OK

    play(case, attach_delay_s=(100, 100))


UGLY = [
    "AT+CEREG=3",  # (0-2)
    'AT+CIPOPEN=10,"TCP","h",80',
    "AT+CIPRXGET=6",
    "AT+CIPRXGET=2,0,1501",
    "AT+CSCLK=3",
    'AT+CDNSGIP="localhost"',  # before NETOPEN
    "AT+CIPMODE=1",
    "AT+CPSMS=1",
]


@pytest.mark.parametrize("line", UGLY)
def test_ugly_lines_are_errors(line: str) -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        assert await ask(bench, line, ERROR) == ERROR
        assert await ask(bench, "AT") == OK

    play(case, attach_delay_s=(100, 100))


def test_identity() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        family = bench.twin.family
        assert await ask(bench, "AT+CGSN") == b"\r\n%s\r\n" % family.imei.encode() + OK
        assert await ask(bench, "AT+CICCID") == b"\r\n+ICCID: %s\r\n" % family.iccid.encode() + OK
        assert await ask(bench, "AT+CGMR") == b"\r\n+CGMR: A011B09A7670M7\r\n" + OK
        assert await ask(bench, "AT+CGMM") == b"\r\nA7670E-LASE\r\n" + OK

    play(case, attach_delay_s=(100, 100))


def test_registration_and_signal() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        assert await ask(bench, "AT+CPSI?") == b"\r\n+CPSI: NO SERVICE,Online\r\n" + OK
        await ask(bench, "AT+CEREG=1")
        await bench.until(b"\r\n+CEREG: 1\r\n")
        await registered(bench)
        await ask(bench, "AT+CEREG=2")
        area, cell = bench.twin.family.area, bench.twin.family.cell
        line = f'\r\n+CEREG: 2,1,"{area}","{cell}",7\r\n'.encode()
        assert await ask(bench, "AT+CEREG?") == line + OK
        signal, place = bench.twin.signal(), bench.twin.network.cell
        assert signal is not None
        assert place is not None
        head = f"+CPSI: LTE,Online,460-11,0x{place.tac:04X},{place.ci},{place.pci},"
        tail = f"EUTRAN-BAND{place.band},{place.earfcn},5,0,"
        line = (await ask(bench, "AT+CPSI?")).split(b"\r\n")[1]
        assert line.startswith((head + tail).encode())
        rsrq, rsrp, rssi, snr = (int(text) for text in line.split(b",")[-4:])
        # Report values, as the manual has them.
        assert (rsrq / 2 - 20, rsrp - 140) == (signal.rsrq_db, signal.rsrp_dbm)
        assert (rssi - 110, snr) == (signal.rssi_dbm, signal.snr_db)

    play(case, attach_delay_s=(30, 30))


def test_the_clock_follows_the_network_after_ctzu_only() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        assert b'+CCLK: "70/01/01,' in await ask(bench, "AT+CCLK?")
        assert b"+CTZU: 0\r\n" in await ask(bench, "AT+CTZU?")
        await ask(bench, "AT+CTZU=1")
        local = datetime.fromtimestamp(bench.now() // 1_000_000 + 8 * 3600, UTC)
        assert f'+CCLK: "{local:%y/%m/%d,%H:%M}'.encode() in await ask(bench, "AT+CCLK?")

    play(case)


def test_the_socket_service() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        assert b"+NETOPEN: 0\r\n" in await ask(bench, "AT+NETOPEN?")
        assert await ask(bench, "AT+NETOPEN") == OK
        await bench.until(b"\r\n+NETOPEN: 1\r\n")  # the result, of a network that is not there
        assert b"\r\n+IP ERROR: Network not opened\r\n" in await ask(bench, "AT+IPADDR", ERROR)
        await registered(bench)
        await ask(bench, 'AT+CGDCONT=1,"IP","iot.example"')
        assert b'+CGDCONT: 1,"IP","iot.example"' in await ask(bench, "AT+CGDCONT?")
        assert await ask(bench, "AT+NETOPEN") == OK
        await bench.until(b"\r\n+NETOPEN: 0\r\n")
        assert b"+NETOPEN: 1\r\n" in await ask(bench, "AT+NETOPEN?")  # the state
        again = await ask(bench, "AT+NETOPEN", ERROR)
        assert again == b"\r\n+IP ERROR: Network is already opened\r\n" + ERROR
        address = bench.twin.family.address.encode()
        assert b"+IPADDR: %s\r\n" % address in await ask(bench, "AT+IPADDR")
        assert b"+CGPADDR: 1,%s\r\n" % address in await ask(bench, "AT+CGPADDR=1")
        assert await ask(bench, "AT+NETCLOSE") == OK
        await bench.until(b"\r\n+NETCLOSE: 0\r\n")
        assert await ask(bench, "AT+NETCLOSE", ERROR) == b"\r\n+NETCLOSE: 2\r\n" + ERROR

    play(case, attach_delay_s=(60, 60))


def test_tcp_pushed() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            assert await opened(bench, echo.port) == b"0\r\n"
            assert await send(bench, NASTY) == b"%d\r\n" % len(NASTY)
            head = b"\r\nRECV FROM:localhost:%d\r\n+IPD%d\r\n" % (echo.port, len(NASTY))
            assert await bench.until(head + NASTY + b"\r\n")
            assert bytes(echo.got) == NASTY
            assert b"+CIPCLOSE: 1,0,0,0,0,0,0,0,0,0\r\n" in await ask(bench, "AT+CIPCLOSE?")
            assert await ask(bench, "AT+CIPCLOSE=0") == OK
            await bench.until(b"\r\n+CIPCLOSE: 0,0\r\n")
            assert await ask(bench, "AT+CIPCLOSE=0", ERROR) == b"\r\n+CIPCLOSE: 0,4\r\n" + ERROR

    play(case)


def test_tcp_fetched() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await ask(bench, "AT+CIPRXGET=1")
            assert b"+CIPRXGET: 1\r\n" in await ask(bench, "AT+CIPRXGET?")
            await opened(bench, echo.port)
            await send(bench, NASTY)
            await bench.until(b"\r\n+CIPRXGET: 1,0\r\n")
            waiting = b"\r\n+CIPRXGET: 4,0,%d\r\n" % len(NASTY)
            assert await ask(bench, "AT+CIPRXGET=4,0") == waiting + OK
            assert await fetch(bench, 5) == (NASTY[:5], len(NASTY) - 5)
            hexed = NASTY[5:].hex().upper().encode()
            line = b"\r\n+CIPRXGET: 3,0,%d,0\r\n%s\r\n" % (len(NASTY) - 5, hexed)
            assert await ask(bench, "AT+CIPRXGET=3,0") == line + OK
            nothing = await ask(bench, "AT+CIPRXGET=2,0", ERROR)
            assert nothing == b"\r\n+IP ERROR: No data\r\n" + ERROR

    play(case)


def test_one_notice_until_everything_was_read() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await ask(bench, "AT+CIPRXGET=1")
            await opened(bench, echo.port)
            await echo.connected.wait()
            echo.writers[0].write(b"first")
            await bench.until(b"\r\n+CIPRXGET: 1,0\r\n")
            echo.writers[0].write(b"second")
            await silence(bench, 5)
            assert await fetch_all(bench, 11) == b"firstsecond"
            echo.writers[0].write(b"third")
            await bench.until(b"\r\n+CIPRXGET: 1,0\r\n")

    play(case)


def test_closed_by_the_peer_what_came_before_can_still_be_read() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await ask(bench, "AT+CIPRXGET=1")
            await opened(bench, echo.port)
            await echo.connected.wait()
            echo.writers[0].write(b"last words")
            echo.writers[0].close()
            await bench.until(b"\r\n+IPCLOSE: 0,1\r\n")
            assert await fetch(bench) == (b"last words", 0)
            assert await ask(bench, "AT+CIPSEND=0,5", ERROR) == b"\r\n+CIPERROR: 4\r\n" + ERROR
            again = await ask(bench, f'AT+CIPOPEN=0,"TCP","localhost",{echo.port}', ERROR)
            assert again == b"\r\n+CIPOPEN: 0,4\r\n" + ERROR  # taken until CIPCLOSE
            await ask(bench, "AT+CIPCLOSE=0")
            await bench.until(b"\r\n+CIPCLOSE: 0,0\r\n")
            assert await opened(bench, echo.port) == b"0\r\n"

    play(case)


def test_results_of_connections_that_fail() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        early = await ask(bench, 'AT+CIPOPEN=0,"TCP","localhost",80', ERROR)
        assert early == b"\r\n+CIPOPEN: 0,2\r\n" + ERROR
        assert await ask(bench, "AT+CIPSEND=0,5", ERROR) == b"\r\n+CIPERROR: 2\r\n" + ERROR
        await ask(bench, "AT+NETOPEN")
        await bench.until(b"+NETOPEN: 0\r\n")
        assert await opened(bench, 80, "nobody.example") == b"11\r\n"
        assert await opened(bench, 80, "192.0.2.7") == b"1\r\n"
        assert await ask(bench, "AT+CIPCLOSE=0", ERROR) == b"\r\n+CIPCLOSE: 0,4\r\n" + ERROR
        no_port = await ask(bench, 'AT+CIPOPEN=1,"UDP","127.0.0.1",80', ERROR)
        assert no_port == b"\r\n+CIPOPEN: 1,3\r\n" + ERROR  # a local port is a must

    play(case)


def test_udp_pushed_to_and_from_any_peer() -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo, UdpEcho() as other:
            await active(bench)
            answer = await ask(bench, 'AT+CIPOPEN=0,"UDP",,,5000')
            assert answer == b"\r\n+CIPOPEN: 0,0\r\n" + OK  # the result comes before the OK
            for peer in (echo, other):
                told = await send(bench, NASTY, f',"127.0.0.1",{peer.port}')
                assert told == b"%d\r\n" % len(NASTY)
                head = b"\r\nRECV FROM:127.0.0.1:%d\r\n+IPD%d\r\n" % (peer.port, len(NASTY))
                await bench.until(head + NASTY + b"\r\n")
                assert peer.got == [NASTY]
            await ask(bench, "AT+CIPSEND=0,5", ERROR)  # a peer is a must
            assert await ask(bench, "AT+CIPCLOSE=0") == b"\r\n+CIPCLOSE: 0,0\r\n" + OK

    play(case)


@pytest.mark.parametrize("by_datagram", [False, True])
def test_udp_fetched_runs_together_unless_it_is_told_not_to(by_datagram: bool) -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            if by_datagram:
                await ask(bench, "AT+CIPCCFG=10,0,0,1,0,0,500,1")
            await ask(bench, "AT+NETOPEN")
            await bench.until(b"+NETOPEN: 0\r\n")
            await ask(bench, "AT+CIPRXGET=1")
            await ask(bench, 'AT+CIPOPEN=0,"UDP",,,5000')
            for data in (b"first", b"second"):
                await send(bench, data, f',"127.0.0.1",{echo.port}')
            await asyncio.sleep(5)
            bench.heard.clear()
            if by_datagram:
                assert await fetch(bench) == (b"first", 6)
                assert await fetch(bench) == (b"second", 0)
            else:
                assert await fetch(bench) == (b"firstsecond", 0)

    play(case)


def test_received_data_larger_than_one_piece_and_a_host_that_does_not_read() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await ask(bench, "AT+CIPRXGET=1")
            await opened(bench, echo.port)
            await echo.connected.wait()
            data = bytes(range(256)) * 150
            echo.writers[0].write(data)
            await asyncio.sleep(60)
            assert MOST <= bench.twin.family.inboxes[0].waiting < 2 * MOST
            assert await fetch_all(bench, len(data)) == data

    play(case)


def test_a_full_module_confirms_nothing() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            bench.twin.family.full_sends = 1
            assert await send(bench, b"ab") == b"0\r\n"
            assert bench.twin.up_bytes == 0
            assert await send(bench, b"ab") == b"2\r\n"

    play(case)


def test_a_prompt_expires_and_takes_commands_for_data_until_then() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            await ask(bench, "AT+CIPSEND=0,100", b"> ")
            bench.write(b"AT\r")
            await silence(bench, 50)
            await bench.until(ERROR, 11)
            assert await ask(bench, "AT") == OK
            assert bench.twin.up_bytes == 0

    play(case)


def test_names_are_answered_before_the_ok() -> None:
    async def case(bench: Bench) -> None:
        await active(bench)
        known = await ask(bench, 'AT+CDNSGIP="broker.example"')
        assert known == b'\r\n+CDNSGIP: 1,"broker.example","127.0.0.1"\r\n' + OK
        unknown = await ask(bench, 'AT+CDNSGIP="nobody.example"', ERROR)
        assert unknown == b"\r\n+CDNSGIP: 0,10\r\n" + ERROR

    play(case, resolve={"broker.example": "127.0.0.1"})


def test_a_lost_network_ends_the_socket_service() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            bench.twin.network.set_coverage(False)
            await bench.until(b"\r\n+CIPEVENT: NETWORK CLOSED UNEXPECTEDLY\r\n")
            assert b"+NETOPEN: 0\r\n" in await ask(bench, "AT+NETOPEN?")
            assert bench.sockets == 0

    play(case)


def test_dtr_sleep_keeps_the_sockets_and_is_ended_by_the_pin_alone() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            bench.twin.pin("dtr", 1)
            await asyncio.sleep(60)
            assert not asleep(bench)
            await ask(bench, "AT+CSCLK=1")
            await asyncio.sleep(60)
            assert asleep(bench)
            bench.write(b"AT\r" * 5)
            await silence(bench, 60)
            bench.twin.pin("dtr", 0)
            await asyncio.sleep(1)
            bench.heard.clear()
            assert await send(bench, b"hello") == b"5\r\n"

    play(case)


def test_receive_line_sleep_swallows_the_first_at() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        await ask(bench, "AT+CSCLK=2")
        assert b"+CSCLK: 2\r\n" in await ask(bench, "AT+CSCLK?")
        await asyncio.sleep(60)
        assert asleep(bench)
        bench.write(b"AT\r")
        await asyncio.sleep(1)
        assert OK not in bench.heard
        bench.heard.clear()
        assert await ask(bench, "AT") == OK

    play(case)


def test_a_refusal_has_its_cause_in_the_extended_error_report_alone() -> None:
    async def case(bench: Bench) -> None:
        bench.twin.network.refuse(11)
        await booted(bench)
        assert b'+CEER: "31 Normal unspecified"\r\n' in await ask(bench, "AT+CEER")
        await ask(bench, "AT+CEREG=2")
        await bench.until(b"\r\n+CEREG: 3\r\n")
        assert re.fullmatch(rb"\r\n\+CEREG: 2,3\r\n" + OK, await ask(bench, "AT+CEREG?"))
        assert b'\r\n+CEER: "11 PLMN not allowed"\r\n' in await ask(bench, "AT+CEER")

    play(case, attach_delay_s=(30, 30))


def test_switching_off_and_starting_anew() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        assert await ask(bench, "AT+CRESET") == OK
        await bench.until(b"PB DONE\r\n")
        await ask(bench, "ATE0")
        assert await ask(bench, "AT+CPOF") == OK
        await asyncio.sleep(1)
        assert bench.twin.state is State.OFF
        await silence(bench, 30)
        bench.twin.pin("pwrkey", 1)
        bench.twin.pin("pwrkey", 0)
        await bench.until(b"PB DONE\r\n")

    play(case)
