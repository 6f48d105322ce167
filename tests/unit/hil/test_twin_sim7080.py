"""The SIM7080 twin by raw AT lines: bearers, CA sockets, data that is fetched, sleep and PSM."""

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
    UdpSink,
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
    play_family("sim7080", case, **options)


async def active(bench: Bench) -> None:
    await attached(bench)
    assert await ask(bench, "AT+CNACT=0,1") == OK
    await bench.until(b"\r\n+APP PDP: 0,ACTIVE\r\n")


async def opened(bench: Bench, port: int, kind: str = "TCP", host: str = "localhost") -> bytes:
    bench.write(f'AT+CAOPEN=0,0,"{kind}","{host}",{port}\r'.encode())
    await bench.until(b"\r\n+CAOPEN: 0,", 120)
    return (await bench.until(OK)).removesuffix(OK)


async def send(bench: Bench, data: bytes) -> None:
    assert await ask(bench, f"AT+CASEND=0,{len(data)}", b"> ") == b"\r\n> "
    bench.write(data)
    await bench.until(OK)
    if bench.twin.family.tells_sends:  # firmwares differ
        await bench.until(b"\r\n+CASEND: 0,0,%d\r\n" % len(data))


async def fetch(bench: Bench, most: int = 1459) -> bytes:
    bench.write(f"AT+CARECV=0,{most}\r".encode())
    await bench.until(b"\r\n+CARECV: ")
    count = await exactly(bench, 1)
    while count[-1:].isdigit():
        count += await exactly(bench, 1)
    length = int(count[:-1])
    data = await exactly(bench, length)
    assert (await bench.until(b"OK\r\n")).endswith(OK)
    return data


async def fetch_all(bench: Bench, length: int) -> bytes:
    got = b""
    while len(got) < length:
        part = await fetch(bench)
        got += part
        if not part:
            await bench.until(b"\r\n+CADATAIND: 0\r\n")
    return got


def test_boot_noise() -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"AT\r")  # too early: lost
        noise = await bench.until(b"SMS Ready\r\n")
        assert b"\r\n*ATREADY: 1\r\n" in noise
        assert b"\r\n+CPIN: READY\r\n" in noise
        assert OK not in noise
        await silence(bench, 1)
        assert await ask(bench, "AT") == b"AT\r" + OK

    play(case, attach_delay_s=(100, 100))


UGLY = [
    "AT+CEREG=3",  # (0-2,4), as the manual has it
    "AT+CNACT=4,1",
    "AT+CNACT=0,1",  # before registration
    'AT+CAOPEN=13,0,"TCP","h",80',
    'AT+CAOPEN=0,0,"SCTP","h",80',
    'AT+CAOPEN=0,0,"TCP","h",80,1',  # <recv_mode> is in the manual, and refused
    'AT+CAOPEN=0,0,"TCP","h",0',
    "AT+CASEND=0,5",
    "AT+CASEND=0,1461",
    "AT+CARECV=0,100",
    "AT+CACLOSE=0",
    "AT+CRAI=3",
    'AT+CDNSGIP="localhost"',
    'AT+CPSMS=1,,,"0100011","00000101"',
    'AT+CEDRXS=1,4,"0010"',
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
        assert await ask(bench, "AT+CCID") == b"\r\n%s\r\n" % family.iccid.encode() + OK
        assert await ask(bench, "AT+CIMI") == b"\r\n%s\r\n" % family.imsi.encode() + OK
        assert await ask(bench, "AT+CGMM") == b"\r\nSIMCOM_SIM7080\r\n" + OK
        assert await ask(bench, "AT+CGMR") == b"\r\nRevision:1951B16SIM7080\r\n" + OK

    play(case, attach_delay_s=(100, 100))


def test_registration_and_signal() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        assert await ask(bench, "AT+CEREG?") == b"\r\n+CEREG: 0,2\r\n" + OK
        assert await ask(bench, "AT+CPSI?") == b"\r\n+CPSI: NO SERVICE,Online\r\n" + OK
        await registered(bench)
        await ask(bench, "AT+CEREG=2")
        area, cell = bench.twin.family.area, bench.twin.family.cell
        line = f'\r\n+CEREG: 2,1,"{area}","{cell}",9\r\n'.encode()
        assert await ask(bench, "AT+CEREG?") == line + OK
        signal, place = bench.twin.signal(), bench.twin.network.cell
        assert signal is not None
        assert place is not None
        head = f"+CPSI: LTE NB-IOT,Online,460-11,0x{place.tac:04X},{place.ci},{place.pci},"
        tail = f"EUTRAN-BAND{place.band},{place.earfcn},0,0,{signal.rsrq_db},{signal.rsrp_dbm},"
        assert (head + tail).encode() in await ask(bench, "AT+CPSI?")

    play(case, attach_delay_s=(30, 30))


def test_the_clock_follows_the_network_after_clts_only() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        assert b'+CCLK: "80/01/06,' in await ask(bench, "AT+CCLK?")
        await ask(bench, "AT+CLTS=1")
        local = datetime.fromtimestamp(bench.now() // 1_000_000 + 8 * 3600, UTC)
        written = await ask(bench, "AT+CCLK?")
        assert f'+CCLK: "{local:%y/%m/%d,%H:%M}'.encode() in written
        assert b'+32"' in written

    play(case)


def test_bearers() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        await ask(bench, 'AT+CGDCONT=1,"IP","iot.example"')
        assert b'+CGDCONT: 1,"IP","iot.example"' in await ask(bench, "AT+CGDCONT?")
        await ask(bench, 'AT+CNCFG=0,1,"iot.example"')
        assert b'+CNCFG: 0,1,"iot.example"' in await ask(bench, "AT+CNCFG?")
        assert b'+CNACT: 0,0,"0.0.0.0"' in await ask(bench, "AT+CNACT?")
        assert await ask(bench, "AT+CNACT=0,1") == OK
        await bench.until(b"\r\n+APP PDP: 0,ACTIVE\r\n")
        address = bench.twin.family.address.encode()
        assert b'+CNACT: 0,1,"%s"' % address in await ask(bench, "AT+CNACT?")
        assert b"+CGPADDR: 1,%s\r\n" % address in await ask(bench, "AT+CGPADDR=1")
        await ask(bench, "AT+CNACT=0,1", ERROR)  # twice is an error
        assert await ask(bench, "AT+CNACT=0,0") == OK
        await bench.until(b"\r\n+APP PDP: 0,DEACTIVE\r\n")

    play(case)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_tcp_there_and_back(seed: int) -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await ask(bench, "AT+CACID=0")
            await ask(bench, 'AT+CASSLCFG=0,"SSL",0')
            assert await opened(bench, echo.port) == b"0\r\n"
            assert b"+CASTATE: 0,1\r\n" in await ask(bench, "AT+CASTATE?")
            await send(bench, NASTY)
            await bench.until(b"\r\n+CADATAIND: 0\r\n")
            assert bytes(echo.got) == NASTY
            assert b"+CARECV: 0,%d\r\n" % len(NASTY) in await ask(bench, "AT+CARECV?")
            bench.write(b"AT+CARECV=0,5\r")
            answer = await bench.until(b"\r\n\r\nOK\r\n")
            # The length alone, where the manual has the socket's number before it.
            assert answer == b"\r\n+CARECV: 5,%s\r\n\r\nOK\r\n" % NASTY[:5]
            assert await fetch(bench) == NASTY[5:]
            assert await ask(bench, "AT+CARECV=0,5") == b"\r\n+CARECV: 0\r\n" + OK
            assert await ask(bench, "AT+CACLOSE=0") == OK
            await ask(bench, "AT+CACLOSE=0", ERROR)

    play(case, seed=seed)


def test_one_notice_until_everything_was_read() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            await echo.connected.wait()
            echo.writers[0].write(b"first")
            await bench.until(b"\r\n+CADATAIND: 0\r\n")
            echo.writers[0].write(b"second")
            await silence(bench, 30)
            assert await fetch(bench, 3) == b"fir"
            assert await fetch_all(bench, 8) == b"stsecond"
            echo.writers[0].write(b"third")
            await bench.until(b"\r\n+CADATAIND: 0\r\n")
            assert await fetch(bench) == b"third"

    play(case)


def test_closed_by_the_peer_what_came_before_can_still_be_read() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            await echo.connected.wait()
            echo.writers[0].write(b"last words")
            echo.writers[0].close()
            await bench.until(b"\r\n+CASTATE: 0,0\r\n")
            assert b"+CASTATE: 0,0\r\n" in await ask(bench, "AT+CASTATE?")
            assert await fetch(bench) == b"last words"
            await ask(bench, "AT+CASEND=0,5", ERROR)
            assert await opened(bench, echo.port) == b"1\r\n"  # taken until CACLOSE
            await ask(bench, "AT+CACLOSE=0")
            assert await opened(bench, echo.port) == b"0\r\n"

    play(case)


def test_results_of_connections_that_fail() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        assert await opened(bench, 80) == b"21\r\n"  # no bearer
        await ask(bench, "AT+CNACT=0,1")
        assert await opened(bench, 80, host="nobody.example") == b"20\r\n"
        assert await opened(bench, 80, host="192.0.2.7") == b"27\r\n"
        await ask(bench, "AT+CACLOSE=0", ERROR)  # nothing is left of them

    play(case)


def test_udp_there_and_back_a_datagram_at_a_time() -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await active(bench)
            assert await opened(bench, echo.port, "UDP", "127.0.0.1") == b"0\r\n"
            await send(bench, NASTY)
            await send(bench, b"second")
            await bench.until(b"\r\n+CADATAIND: 0\r\n")
            await asyncio.sleep(20)
            assert echo.got == [NASTY, b"second"]
            assert await fetch(bench) == NASTY
            assert await fetch(bench) == b"second"
            assert await fetch(bench) == b""

    play(case)


def test_received_data_larger_than_one_piece_and_a_host_that_does_not_read() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            await echo.connected.wait()
            data = bytes(range(256)) * 150
            echo.writers[0].write(data)
            await asyncio.sleep(600)
            assert MOST <= bench.twin.family.inboxes[0].waiting < 2 * MOST
            assert await fetch_all(bench, len(data)) == data

    play(case)


def test_a_full_module_refuses_the_data() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            bench.twin.family.full_sends = 1
            await ask(bench, "AT+CASEND=0,2", b"> ")
            bench.write(b"ab")
            await bench.until(ERROR)
            assert b"+CAACK: 0,0\r\n" in await ask(bench, "AT+CAACK=0")
            await send(bench, b"ab")
            assert b"+CAACK: 2,0\r\n" in await ask(bench, "AT+CAACK=0")

    play(case)


def test_a_prompt_expires_and_takes_commands_for_data_until_then() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            await ask(bench, "AT+CASEND=0,100", b"> ")
            bench.write(b"AT\r")
            await silence(bench, 50)
            await bench.until(ERROR, 11)
            assert await ask(bench, "AT") == OK
            assert bench.twin.up_bytes == 0

    play(case)


def test_names() -> None:
    async def case(bench: Bench) -> None:
        await active(bench)
        assert await ask(bench, 'AT+CDNSGIP="broker.example"') == OK
        await bench.until(b'\r\n+CDNSGIP: 1,"broker.example","127.0.0.1"\r\n')
        assert await ask(bench, 'AT+CDNSGIP="nobody.example"') == OK
        await bench.until(b"\r\n+CDNSGIP: 0,8\r\n")

    play(case, resolve={"broker.example": "127.0.0.1"})


def test_a_lost_network_ends_bearer_and_sockets() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            bench.twin.network.set_coverage(False)
            await bench.until(b"\r\n+APP PDP: 0,DEACTIVE\r\n")
            await ask(bench, "AT+CASEND=0,5", ERROR)

    play(case)


def test_dtr_sleep_is_ended_by_the_pin_alone() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            bench.twin.pin("dtr", 1)
            await asyncio.sleep(60)
            assert not asleep(bench)  # not without CSCLK
            await ask(bench, "AT+CSCLK=1")
            await asyncio.sleep(60)
            assert asleep(bench)
            assert bench.sockets == 1
            bench.heard.clear()
            bench.write(b"AT\r" * 5)
            await silence(bench, 60)
            bench.twin.pin("dtr", 0)
            bench.write(b"AT\r")  # too early: lost
            await asyncio.sleep(1)
            assert OK not in bench.heard
            bench.heard.clear()
            assert await ask(bench, "AT") == OK

    play(case)


def test_after_sleep_the_first_casend_may_stay_without_prompt() -> None:
    lost = []

    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await active(bench)
            await opened(bench, echo.port)
            bench.twin.pin("dtr", 1)
            await ask(bench, "AT+CSCLK=1")
            await asyncio.sleep(60)
            bench.twin.pin("dtr", 0)
            await asyncio.sleep(1)
            bench.heard.clear()
            bench.write(b"AT+CASEND=0,5\r")
            await asyncio.sleep(5)
            lost.append(not bench.heard)
            if lost[-1]:
                assert await ask(bench, "AT") == OK  # it takes commands, not data
                await ask(bench, "AT+CASEND=0,5", b"> ")
            bench.write(b"hello")
            await bench.until(OK)
            await echo.heard.wait()
            assert bytes(echo.got) == b"hello"

    for seed in range(8):
        play(case, seed=seed)
    assert set(lost) == {True, False}


def test_psm_is_told_granted_and_ended_by_pwrkey_alone() -> None:
    async def case(bench: Bench) -> None:
        await active(bench)
        await ask(bench, "AT+CPSMSTATUS=1")
        await ask(bench, 'AT+CPSMS=1,,,"01000111","00000101"')
        assert b'+CPSMS: 1,,,"01000111","00000101"\r\n' in await ask(bench, "AT+CPSMS?")
        await ask(bench, "AT+CEREG=4")
        await bench.until(b'\r\n+CPSMSTATUS: "ENTER PSM"\r\n', 120)
        assert asleep(bench)
        await asyncio.sleep(1)
        bench.heard.clear()
        bench.write(b"AT\r" * 5)
        await silence(bench, 60)
        bench.twin.pin("pwrkey", 1)
        await asyncio.sleep(1.2)
        bench.twin.pin("pwrkey", 0)
        await asyncio.sleep(2)
        bench.heard.clear()
        answer = await ask(bench, "AT+CEREG?")
        granted = bench.twin.saving.psm_granted
        assert granted is not None
        timers = b',,,"%s","%s"\r\n' % (granted[1].encode(), granted[0].encode())
        assert re.search(rb'\+CEREG: 4,1,"[0-9A-F]{4}","[0-9A-F]{8}",9' + timers, answer)
        assert b'+CNACT: 0,0,"0.0.0.0"' in await ask(bench, "AT+CNACT?")
        await ask(bench, "AT+CPSMS=0")
        await asyncio.sleep(600)
        assert not asleep(bench)

    play(case)


def test_release_assistance_ends_the_connection() -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await active(bench)
            await asyncio.sleep(60)
            await opened(bench, echo.port, "UDP", "127.0.0.1")
            await send(bench, b"a")
            await bench.until(b"+CADATAIND: 0\r\n")
            await asyncio.sleep(1)
            assert bench.twin.air.connected
            await asyncio.sleep(60)
            await ask(bench, "AT+CRAI=1")
            assert b"+CRAI: 1\r\n" in await ask(bench, "AT+CRAI?")
            async with UdpSink() as sink:
                await ask(bench, "AT+CACLOSE=0")
                await opened(bench, sink.port, "UDP", "127.0.0.1")
                await send(bench, b"b")
                await asyncio.sleep(3)
                assert sink.got == [b"b"]
                assert not bench.twin.air.connected

    play(case)


def test_switching_off_and_starting_anew() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        assert await ask(bench, "AT+CREBOOT") == OK
        await bench.until(b"SMS Ready\r\n")
        await ask(bench, "ATE0")
        assert await ask(bench, "AT+CPOWD=1", b"DOWN\r\n") == b"\r\nNORMAL POWER DOWN\r\n"
        await asyncio.sleep(1)
        assert bench.twin.state is State.OFF
        await silence(bench, 30)

    play(case)
