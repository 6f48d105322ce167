"""The BC95-G twin by raw AT lines in Neul's grammar: no quotes, no blanks, payloads in hex."""

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
    registered,
    silence,
)
from twin_play import play as play_family

from hil.virtual.modem.inbox import MOST


def play(case: Case, **options: Any) -> None:
    play_family("bc95", case, **options)


async def stream(bench: Bench, port: int) -> None:
    assert await ask(bench, "AT+NSOCR=STREAM,6,0,1") == b"\r\n0\r\n" + OK
    assert await ask(bench, f"AT+NSOCO=0,127.0.0.1,{port}") == OK


async def announced(bench: Bench, number: int = 0) -> int:
    """The length in the next +NSONMI of this socket."""
    await bench.until(b"\r\n+NSONMI:%d," % number)
    return int(await bench.until(b"\r\n"))


async def read_all(bench: Bench, number: int, length: int) -> bytes:
    """What NSORF gives, without waiting for a second URC."""
    got = b""
    while len(got) < length:
        answer = await ask(bench, f"AT+NSORF={number},1358")
        fields = re.search(rb"%d,127\.0\.0\.1,\d+,(\d+),([0-9A-F]+),\d+\r\n" % number, answer)
        if fields is None:
            await bench.until(b"+NSONMI:")
            continue
        part = bytes.fromhex(fields[2].decode())
        assert len(part) == int(fields[1])
        got += part
    return got


def test_the_boot_banner_has_an_ok_that_answers_nothing() -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"AT\r")  # too early: lost
        noise = await bench.until(b"Neul \r\nOK\r\n")
        assert b"Boot: Unsigned\r\n" in noise
        assert b"REBOOT_CAUSE_APPLICATION_AT\r\n" in noise
        assert not noise.isascii()
        await silence(bench, 1)
        assert await ask(bench, "AT") == b"AT\r" + OK

    play(case, attach_delay_s=(100, 100))


def test_nrb_says_rebooting_and_the_banner_and_no_ok_between() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        await ask(bench, "AT+NSOCR=DGRAM,17,0,1")
        bench.write(b"AT+NRB\r")
        assert await bench.until(b"REBOOTING\r\n") == b"\r\nREBOOTING\r\n"
        noise = await bench.until(b"Neul \r\nOK\r\n")
        assert OK not in noise.replace(b"Neul \r\nOK\r\n", b"")
        assert bench.twin.boots == 2
        await ask(bench, "ATE0")
        await ask(bench, "AT+NSOCL=0", ERROR)  # the sockets are gone

    play(case)


def test_answers_have_no_blank_and_no_quotes() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        assert await ask(bench, "AT+CEREG?") == b"\r\n+CEREG:0,2\r\n" + OK
        assert await ask(bench, "AT+CGATT?") == b"\r\n+CGATT:0\r\n" + OK
        assert await ask(bench, "AT+CSQ") == b"\r\n+CSQ:99,99\r\n" + OK
        await ask(bench, "AT+CEREG=2")
        await bench.until(b"\r\n+CEREG:1,")
        area, cell = bench.twin.family.area.encode(), bench.twin.family.cell.encode()
        assert await bench.until(b"\r\n") == b"%s,%s,7\r\n" % (area, cell)
        await registered(bench)
        answer = await ask(bench, "AT+CEREG?")
        assert answer == b"\r\n+CEREG:2,1,%s,%s,7\r\n" % (area, cell) + OK
        assert b"\r\n+CGATT:1\r\n" in await ask(bench, "AT+CGATT?")
        address = bench.twin.family.address.encode()
        assert b"\r\n+CGPADDR:0,%s\r\n" % address in await ask(bench, "AT+CGPADDR")
        assert re.search(rb"\r\n\+CSQ:\d+,99\r\n", await ask(bench, "AT+CSQ"))
        assert re.search(rb"\r\n\+CESQ:99,99,255,255,\d+,\d+\r\n", await ask(bench, "AT+CESQ"))

    play(case, attach_delay_s=(30, 30))


def test_identity_in_neuls_forms() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        family = bench.twin.family
        assert b"\r\n+CGSN:%s\r\n" % family.imei.encode() in await ask(bench, "AT+CGSN=1")
        assert b"\r\n+NCCID:%s\r\n" % family.iccid.encode() in await ask(bench, "AT+NCCID")
        assert b"\r\n+NCCID:%s\r\n" % family.iccid.encode() in await ask(bench, "AT+NCCID?")
        assert b"\r\n%s\r\n" % family.imsi.encode() in await ask(bench, "AT+CIMI")
        assert (await ask(bench, "AT+CGMR")).startswith(b"\r\nBC95GJBR01A05\r\n\r\nSSB,")

    play(case)


def test_the_clock_is_utc_and_silent_before_the_network_told_it() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        assert await ask(bench, "AT+CCLK?") == OK
        await registered(bench)
        now = datetime.fromtimestamp(bench.now() // 1_000_000, UTC)
        assert f"\r\n+CCLK:{now:%y/%m/%d,%H:%M}".encode() in await ask(bench, "AT+CCLK?")

    play(case, attach_delay_s=(30, 30))


def test_nuestats_tells_tenths_and_unknown_values_before_a_cell() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        before = await ask(bench, "AT+NUESTATS")
        assert b"\r\nSignal power:-32768\r\n" in before
        assert b"\r\nECL:255\r\n" in before
        assert await ask(bench, "AT+NUESTATS=CELL") == OK
        await registered(bench)
        signal, cell = bench.twin.signal(), bench.twin.network.cell
        assert signal is not None
        assert cell is not None
        lines = await ask(bench, "AT+NUESTATS")
        assert b"\r\nSignal power:%d\r\n" % (10 * signal.rsrp_dbm) in lines
        assert b"\r\nSNR:%d\r\n" % (10 * signal.snr_db) in lines
        assert b"\r\nECL:%d\r\n" % (signal.ecl or 0) in lines
        assert re.search(rb"\r\nTX time:[1-9]\d*\r\n", lines)  # the attach
        assert b"\r\nCell ID:%d\r\n" % cell.ci in lines
        assert b"\r\nNUESTATS:RADIO,ECL:" in await ask(bench, "AT+NUESTATS=RADIO")
        line = await ask(bench, "AT+NUESTATS=CELL")
        values = (cell.earfcn, cell.pci, 10 * signal.rsrp_dbm)
        assert line.startswith(b"\r\nNUESTATS:CELL,%d,%d,1,%d," % values)
        await ask(bench, "AT+NUESTATS=NOPE", ERROR)

    play(case, attach_delay_s=(30, 30))


UGLY = [
    'AT+NSOCR="DGRAM",17,0,1',  # u-blox has quotes here, Quectel not
    "AT+NSOCR=DGRAM,6,0,1",
    "AT+NSOCR=RAW,17,0,1",
    "AT+NSOCR=DGRAM,17",
    "AT+NSOST=0,127.0.0.1,7,1,FF",  # no such socket
    "AT+NSOCL=0",
    "AT+NSOCL=9",
    "AT+NSORF=0,10",
    "AT+NSOCO=0,127.0.0.1,7",
    "AT+NSOSD=0,1,FF",
    "AT+NSONMI=4",
    "AT+QDNS=1,localhost",
    'AT+QDNS=0,"localhost"',
    "AT+CGSN=2",
    "AT+CPSMS=1,,,01000011,2",
    "AT+CFUN=9",
    "AT+" + "N" * 4000,
]


@pytest.mark.parametrize("line", UGLY)
def test_ugly_lines_are_errors(line: str) -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        assert await ask(bench, line, ERROR) == ERROR
        assert await ask(bench, "AT") == OK

    play(case)


SENDS = [
    "AT+NSOST=0,nobody.example,7,1,FF",  # addresses only
    "AT+NSOST=0,127.0.0.1,0,1,FF",
    "AT+NSOST=0,127.0.0.1,7,2,FF",
    "AT+NSOST=0,127.0.0.1,7,1,F",
    "AT+NSOST=0,127.0.0.1,7,1,GG",
    'AT+NSOST=0,127.0.0.1,7,1,"FF"',
    "AT+NSOST=0,127.0.0.1,7,1,FF,256",
    "AT+NSOSTF=0,127.0.0.1,7,0x300,1,FF",
    f"AT+NSOST=0,127.0.0.1,7,1359,{'00' * 1359}",
]


@pytest.mark.parametrize("line", SENDS)
def test_sends_that_are_wrong_are_numbered_errors(line: str) -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        await ask(bench, "AT+CMEE=1")
        await ask(bench, "AT+NSOCR=DGRAM,17,0,1")
        bench.write(line.encode() + b"\r")
        answer = await bench.until(b"\r\n", 5) + await bench.until(b"\r\n", 5)
        assert answer in (b"\r\n+CME ERROR: 50\r\n", ERROR)
        assert bench.twin.up_bytes == 0

    play(case)


def test_errors_of_sockets_have_the_manuals_numbers() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        await ask(bench, "AT+CMEE=1")
        await ask(bench, "AT+NSOSD=3,1,FF", b"\r\n+CME ERROR: 531\r\n")
        await ask(bench, "AT+NSOCR=STREAM,6,0,1")
        await ask(bench, "AT+NSOSD=0,1,FF", b"\r\n+CME ERROR: 517\r\n")  # not connected
        for number in range(1, 7):
            assert await ask(bench, "AT+NSOCR=DGRAM,17,0,1") == b"\r\n%d\r\n" % number + OK
        await ask(bench, "AT+NSOCR=DGRAM,17,0,1", b"\r\n+CME ERROR: 3\r\n")
        await ask(bench, "AT+NSOCL=3")
        assert await ask(bench, "AT+NSOCR=DGRAM,17,0,1") == b"\r\n3\r\n" + OK

    play(case)


def test_udp_there_and_back_with_the_sequence_told() -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            assert await ask(bench, "AT+NSOCR=DGRAM,17,0,1") == b"\r\n0\r\n" + OK
            hexed = NASTY.hex().upper()
            line = f"AT+NSOST=0,127.0.0.1,{echo.port},{len(NASTY)},{hexed},101"
            assert await ask(bench, line) == b"\r\n0,%d\r\n" % len(NASTY) + OK
            await bench.until(b"\r\n+NSOSTR:0,101,1\r\n")
            assert await announced(bench) == len(NASTY)
            assert echo.got == [NASTY]
            half = len(NASTY) // 2
            first = await ask(bench, f"AT+NSORF=0,{half}")
            head = b"\r\n0,127.0.0.1,%d,%d," % (echo.port, half)
            left = b",%d\r\n" % (len(NASTY) - half)
            assert first == head + hexed[: 2 * half].encode() + left + OK
            rest = await ask(bench, "AT+NSORF=0,1000")
            assert rest.endswith(hexed[2 * half :].encode() + b",0\r\n" + OK)
            assert await ask(bench, "AT+NSORF=0,1000") == OK  # nothing is an answer without lines

    play(case)


def test_each_datagram_is_announced_when_the_one_before_has_been_read() -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            await ask(bench, "AT+NSOCR=DGRAM,17,0,1")
            for data in ("AA", "BBBB", "CCCCCC"):
                line = f"AT+NSOST=0,127.0.0.1,{echo.port},{len(data) // 2},{data}"
                await ask(bench, line)
            assert await announced(bench) == 1
            await silence(bench, 20)
            assert b",1,AA,0\r\n" in await ask(bench, "AT+NSORF=0,100")
            assert await announced(bench) == 2
            assert b",2,BBBB,0\r\n" in await ask(bench, "AT+NSORF=0,100")
            assert await announced(bench) == 3
            assert b",3,CCCCCC,0\r\n" in await ask(bench, "AT+NSORF=0,100")
            await silence(bench, 5)

    play(case)


@pytest.mark.parametrize("mode", [0, 2, 3])
def test_other_modes_of_nsonmi(mode: int) -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            await ask(bench, f"AT+NSONMI={mode}")
            assert b"+NSONMI:%d\r\n" % mode in await ask(bench, "AT+NSONMI?")
            await ask(bench, "AT+NSOCR=DGRAM,17,0,1")
            await ask(bench, f"AT+NSOST=0,127.0.0.1,{echo.port},2,0D0A")
            if mode == 0:
                await silence(bench, 20)
                assert b",2,0D0A,0\r\n" in await ask(bench, "AT+NSORF=0,100")
            elif mode == 2:
                await bench.until(b"\r\n+NSONMI:0,127.0.0.1,%d,2,0D0A\r\n" % echo.port)
            else:
                await bench.until(b"\r\n+NSONMI:0,2,0D0A\r\n")

    play(case)


def test_a_socket_that_does_not_listen_hears_nothing() -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            await ask(bench, "AT+NSOCR=DGRAM,17,0,0")
            await ask(bench, f"AT+NSOST=0,127.0.0.1,{echo.port},1,AA")
            await silence(bench, 20)
            assert echo.got == [b"\xaa"]
            assert await ask(bench, "AT+NSORF=0,10") == OK

    play(case)


@pytest.mark.parametrize(
    ("flag", "released"), [("0x000", False), ("0x100", False), ("0x200", True)]
)
def test_release_behind_this_packet(flag: str, released: bool) -> None:
    async def case(bench: Bench) -> None:
        async with UdpSink() as sink:
            await attached(bench)
            await asyncio.sleep(60)  # the attach's own connection is over
            await ask(bench, "AT+NSOCR=DGRAM,17,0,1")
            await ask(bench, f"AT+NSOSTF=0,127.0.0.1,{sink.port},{flag},1,AA")
            await asyncio.sleep(3)
            assert sink.got == [b"\xaa"]
            assert bench.twin.air.connected is not released

    play(case)


@pytest.mark.parametrize(("flag", "released"), [("0x000", False), ("0x400", True)])
def test_release_behind_the_answer(flag: str, released: bool) -> None:
    async def case(bench: Bench) -> None:
        async with UdpEcho() as echo:
            await attached(bench)
            await asyncio.sleep(60)
            await ask(bench, "AT+NSOCR=DGRAM,17,0,1")
            await ask(bench, f"AT+NSOSTF=0,127.0.0.1,{echo.port},{flag},1,AA")
            assert bench.twin.air.connected
            await announced(bench)
            await asyncio.sleep(1)
            assert bench.twin.air.connected is not released

    play(case)


def test_tcp_there_and_back_in_pieces_and_closed_by_the_peer() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await stream(bench, echo.port)
            data = NASTY + bytes(range(256)) * 4
            hexed = data.hex().upper()
            answer = await ask(bench, f"AT+NSOSD=0,{len(data)},{hexed},0x100,7")
            assert answer == b"\r\n0,%d\r\n" % len(data) + OK
            await bench.until(b"\r\n+NSOSTR:0,7,1\r\n")
            assert await read_all(bench, 0, len(data)) == data
            assert bytes(echo.got) == data
            assert (bench.twin.up_bytes, bench.twin.down_bytes) == (len(data), len(data))
            echo.writers[0].write(b"last")
            echo.writers[0].close()
            await bench.until(b"\r\n+NSOCLI: 0\r\n")  # with a blank, as the module has it
            assert await read_all(bench, 0, 4) == b"last"
            await ask(bench, "AT+NSOSD=0,1,FF", ERROR)
            await ask(bench, "AT+NSOCL=0")
            await stream(bench, echo.port)

    play(case)


def test_received_data_larger_than_one_piece_and_a_host_that_does_not_read() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await stream(bench, echo.port)
            await echo.connected.wait()
            data = bytes(range(256)) * 150
            echo.writers[0].write(data)
            await announced(bench)
            await asyncio.sleep(600)
            socket = bench.twin.family.sockets[0]
            assert MOST <= socket.inbox.waiting < 2 * MOST  # the window is closed
            assert await read_all(bench, 0, len(data)) == data

    play(case)


def test_a_connection_that_fails_is_an_error_and_can_be_tried_again() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await ask(bench, "AT+CMEE=1")
            await ask(bench, "AT+NSOCR=STREAM,6,0,1")
            await ask(bench, "AT+NSOCO=0,192.0.2.7,80", b"\r\n+CME ERROR: 3\r\n", 120)
            assert await ask(bench, f"AT+NSOCO=0,127.0.0.1,{echo.port}") == OK
            await ask(bench, f"AT+NSOCO=0,127.0.0.1,{echo.port}", b"\r\n+CME ERROR: 517\r\n")
            bench.twin.network.set_coverage(False)
            await ask(bench, "AT+NSOCR=STREAM,6,0,1")
            await ask(bench, f"AT+NSOCO=1,127.0.0.1,{echo.port}", b"\r\n+CME ERROR: 517\r\n")

    play(case)


def test_a_full_module_answers_flow_control() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await ask(bench, "AT+CMEE=1")
            await stream(bench, echo.port)
            bench.twin.family.full_sends = 1
            await ask(bench, "AT+NSOSD=0,1,AA", b"\r\n+CME ERROR: 159\r\n")
            assert await ask(bench, "AT+NSOSD=0,1,AA") == b"\r\n0,1\r\n" + OK

    play(case)


def test_qdns_answers_behind_ok() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        assert await ask(bench, "AT+QDNS=0,broker.example") == OK
        await bench.until(b"\r\n+QDNS:127.0.0.1\r\n")
        assert await ask(bench, "AT+QDNS=0,nobody.example") == OK
        await bench.until(b"\r\n+QDNS:FAIL\r\n")

    play(case, resolve={"broker.example": "127.0.0.1"})


def test_a_refusal_with_its_cause() -> None:
    async def case(bench: Bench) -> None:
        bench.twin.network.refuse(11)
        await booted(bench)
        await ask(bench, "AT+CEREG=3")
        await bench.until(b"\r\n+CEREG:3,,,,0,11\r\n")
        assert b"\r\n+CEREG:3,3,,,,0,11\r\n" in await ask(bench, "AT+CEREG?")

    play(case, attach_delay_s=(30, 30))


def test_the_rrc_connection_is_told_from_its_beginning_to_its_end() -> None:
    async def case(bench: Bench) -> None:
        async with UdpSink() as sink:
            await attached(bench)
            await asyncio.sleep(60)
            assert b"\r\n+CSCON:0,0\r\n" in await ask(bench, "AT+CSCON?")
            await ask(bench, "AT+CSCON=1")
            await ask(bench, "AT+NSOCR=DGRAM,17,0,1")
            line = f"AT+NSOST=0,127.0.0.1,{sink.port},1,AA"
            assert b"\r\n+CSCON:1\r\n" in await ask(bench, line)
            assert b"\r\n+CSCON:1,1\r\n" in await ask(bench, "AT+CSCON?")
            await asyncio.sleep(5)
            await ask(bench, line)  # its end moves
            before = bench.loop.time()
            await bench.until(b"\r\n+CSCON:0\r\n")
            assert bench.loop.time() - before > 9  # the network's inactivity timer
            await silence(bench, 60)

    play(case)


def test_psm_is_granted_told_and_entered_and_the_first_at_after_it_is_swallowed() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        assert await ask(bench, "AT+CPSMS?") == b"\r\n+CPSMS:0\r\n" + OK
        await ask(bench, "AT+NPSMR=1")
        assert b"+NPSMR:1,0\r\n" in await ask(bench, "AT+NPSMR?")
        await ask(bench, "AT+CEREG=5")
        await ask(bench, "AT+CPSMS=1,,,01000111,00000101")
        assert b"\r\n+CPSMS:1,,,01000111,00000101\r\n" in await ask(bench, "AT+CPSMS?")
        await ask(bench, "AT+NSOCR=DGRAM,17,0,1")
        await bench.until(b"\r\n+NPSMR:1\r\n", 120)
        assert asleep(bench)
        assert bench.sockets == 0
        bench.heard.clear()
        bench.write(b"AT\r")
        await asyncio.sleep(2)
        assert OK not in bench.heard
        answer = await ask(bench, "AT+CEREG?")
        granted = bench.twin.saving.psm_granted
        assert granted is not None
        timers = b",,,%s,%s\r\n" % (granted[1].encode(), granted[0].encode())
        assert re.search(rb"\r\n\+CEREG:5,1,[0-9A-F]{4},[0-9A-F]{8},7" + timers, answer)
        await ask(bench, "AT+NSOCL=0", ERROR)
        await asyncio.sleep(30)
        assert asleep(bench)  # nothing was sent: it is still in PSM

    play(case)


def test_edrx_is_granted_in_neuls_form() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        assert b"\r\n+CEDRXRDP:0\r\n" in await ask(bench, "AT+CEDRXRDP")
        await ask(bench, "AT+CEDRXS=1,5,0010")
        await asyncio.sleep(30)
        granted = bench.twin.saving.edrx_granted
        assert granted is not None
        line = b"\r\n+CEDRXRDP:5,0010,%s,%s\r\n" % (granted[0].encode(), granted[1].encode())
        assert line in await ask(bench, "AT+CEDRXRDP")

    play(case)


def test_a_card_that_is_missing_or_locked() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, "AT+CMEE=1")
        bench.twin.sim.present = False
        await ask(bench, "AT+CIMI", b"\r\n+CME ERROR: 10\r\n")
        await ask(bench, "AT+NCCID", b"\r\n+CME ERROR: 10\r\n")
        await ask(bench, "AT+CPIN?", b"\r\n+CME ERROR: 10\r\n")

    play(case)
