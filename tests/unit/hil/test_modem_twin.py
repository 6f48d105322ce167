"""The modem twin by raw AT lines, the ugly ones too, and by what a power cut does to it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import Bench, Echo, jumping

from hil.virtual.modem import ModemTwin, Stat, State
from hil.virtual.modem.grammar import Command, GrammarError, Op, parse

FAMILIES = ["bc660k", "ec200"]
OK = b"\r\nOK\r\n"
Case = Callable[[Bench], Awaitable[None]]


def play(family: str, case: Case, *, seed: int = 1, **options: Any) -> None:
    async def main() -> None:
        bench = Bench(ModemTwin(family, seed=seed, **{"chatter": 0.0, **options}))
        bench.twin.power_on()
        await case(bench)
        bench.twin.power_off()
        assert bench.sockets == 0

    jumping(main)


async def ask(bench: Bench, line: str, mark: bytes = OK) -> bytes:
    bench.write(line.encode() + b"\r")
    return await bench.until(mark)


async def booted(bench: Bench) -> None:
    await bench.until(b"+CPIN: READY\r\n")
    await ask(bench, "ATE0")


async def attached(bench: Bench) -> None:
    await booted(bench)
    await registered(bench)


async def registered(bench: Bench) -> None:
    if bench.twin.family.table.name == "bc660k":
        await ask(bench, "AT+QSCLK=0")
    await asyncio.sleep(45)  # the attach takes 40 s at most
    assert bench.twin.network.registered
    if bench.twin.family.table.name == "ec200":
        await ask(bench, "AT+QIACT=1")
    bench.heard.clear()


async def opened(bench: Bench, port: int, host: str = "localhost", number: int = 0) -> bytes:
    context = bench.twin.family.table.context
    mark = b"\r\n+QIOPEN: %d," % number
    await ask(bench, f'AT+QIOPEN={context},{number},"TCP","{host}",{port},0,1', mark)
    return await bench.until(b"\r\n")


@pytest.mark.parametrize("family", FAMILIES)
def test_boot_noise_then_at(family: str) -> None:
    async def case(bench: Bench) -> None:
        bench.write(b"AT\r")  # too early: lost
        noise = await bench.until(b"+CPIN: READY\r\n")
        assert b"\r\nRDY\r\n" in noise
        assert OK not in noise
        await asyncio.sleep(1)
        bench.heard.clear()
        assert await ask(bench, "AT") == b"AT\r" + OK
        assert await ask(bench, "ATE0") == b"ATE0\r" + OK
        assert await ask(bench, "at") == OK

    play(family, case, attach_delay_s=(100, 100))


UGLY = [
    b"AT+\r",
    b"AT+NOPE\r",
    b"AT+NOPE=1,2\r",
    b"AT+CEREG=9\r",
    b"AT+CEREG=x\r",
    b"AT+CEREG=99999999999999999999\r",
    b"AT+CEREG=\r",
    b"AT+CEREG?x\r",
    b"AT+CEREG=?\r",
    b"AT=\r",
    b"AT?\r",
    b'AT+QIOPEN=0,0,"TCP\r',
    b"AT+QIOPEN\r",
    b"AT+QIOPEN=0,99,TCP,h,1,0,1\r",
    b"AT+QIOPEN=0,0,UDP,h,1,0,1\r",
    b'AT+QIOPEN=0,0,"TCP","h",70000,0,1\r',
    b"AT+QISEND=0,5\r",
    b"AT+QISEND=0,999999\r",
    b"AT+QISEND=-1\r",
    b"AT+QICLOSE=99\r",
    b"AT+QICLOSE=\xff\r",
    b"AT" + b"X" * 600 + b"\r",
    b"AT" + b"+CSQ" * 5000 + b"\r",
]


@pytest.mark.parametrize("line", UGLY)
@pytest.mark.parametrize("family", FAMILIES)
def test_ugly_lines_are_errors_and_nothing_else(family: str, line: bytes) -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        bench.write(line)
        assert await bench.until(b"\r\nERROR\r\n") == b"\r\nERROR\r\n"
        assert await ask(bench, "AT") == OK

    play(family, case, attach_delay_s=(100, 100))


def test_garbage_without_at_is_ignored_as_v250_says() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        bench.write(b"\x00\xff garbage \x1b\r\n\r\n\r")
        assert await ask(bench, "AT") == OK

    play("ec200", case, attach_delay_s=(100, 100))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=40, deadline=None)
@given(data=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(UGLY)), max_size=12))
def test_any_bytes_leave_the_twin_alive(family: str, data: list[bytes]) -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        for part in data:
            bench.write(part)
            await asyncio.sleep(0.5)
        await asyncio.sleep(70)  # longer than a prompt waits
        for _ in range(3):
            bench.write(b"\rAT\r")
            await asyncio.sleep(5)
        assert OK in bench.heard or bench.twin.state is State.OFF  # it may have read QPOWD

    play(family, case, attach_delay_s=(1, 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_errors_have_numbers_only_with_cmee(family: str) -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, "AT+QISEND=0,5", b"\r\nERROR\r\n")
        await ask(bench, "AT+CMEE=1")
        await ask(bench, "AT+QISEND=0,5", b"\r\n+CME ERROR: 572\r\n")

    play(family, case, attach_delay_s=(100, 100))


@pytest.mark.parametrize("family", FAMILIES)
def test_attach_takes_its_virtual_time_and_the_same_seed_the_same_time(family: str) -> None:
    times: list[float] = []

    async def case(bench: Bench) -> None:
        await booted(bench)
        assert b"+CEREG: 0,2" in await ask(bench, "AT+CEREG?")
        assert b"99,99" in await ask(bench, "AT+CSQ")
        await ask(bench, "AT+CEREG=1")
        begin = bench.loop.time()
        await bench.until(b"\r\n+CEREG: 1\r\n")
        assert 14 < bench.loop.time() - begin <= 40
        times.append(bench.loop.time())
        assert b"+CEREG: 1,1\r\n" in await ask(bench, "AT+CEREG?")
        await ask(bench, "AT+CEREG=3")
        act = bench.twin.family.table.technology
        assert b'","%s",%d\r\n' % (bench.twin.family.cell.encode(), act) in await ask(
            bench, "AT+CEREG?"
        )

    play(family, case, seed=7)
    play(family, case, seed=7)
    play(family, case, seed=8)
    assert times[0] == times[1] != times[2]


def test_a_refusal_in_query_and_urc_form() -> None:
    async def case(bench: Bench) -> None:
        bench.twin.network.refuse(11)
        await booted(bench)
        await ask(bench, "AT+CEREG=3")
        await bench.until(b"\r\n+CEREG: 3,,,,0,11\r\n")
        assert b"+CEREG: 3,3,,,,0,11\r\n" in await ask(bench, "AT+CEREG?")
        await asyncio.sleep(3600)
        assert bench.twin.network.stat is Stat.DENIED  # a final cause: no further try

    play("ec200", case)


def test_a_refusal_for_congestion_is_tried_again_by_the_modem() -> None:
    async def case(bench: Bench) -> None:
        bench.twin.network.refuse(22)
        await booted(bench)
        await asyncio.sleep(60)
        assert bench.twin.network.stat is Stat.DENIED
        bench.twin.network.refuse(None)
        await asyncio.sleep(800)
        assert bench.twin.network.registered

    play("ec200", case)


def test_network_time_in_each_familys_form() -> None:
    async def nbiot(bench: Bench) -> None:
        await booted(bench)
        assert b"+CCLK: 00/01/01" in await ask(bench, "AT+CCLK?")
        await registered(bench)
        now = datetime.fromtimestamp(bench.now() // 1_000_000, UTC)
        assert f"+CCLK: {now:%y/%m/%d,%H:%M}".encode() in await ask(bench, "AT+CCLK?")

    async def cat1(bench: Bench) -> None:
        await booted(bench)
        assert b'+QLTS: ""' in await ask(bench, "AT+QLTS=1")
        await registered(bench)
        now = datetime.fromtimestamp(bench.now() // 1_000_000, UTC)
        assert f'+QLTS: "{now:%Y/%m/%d,%H:%M}'.encode() in await ask(bench, "AT+QLTS=1")
        local = datetime.fromtimestamp(bench.now() // 1_000_000 + 28800, UTC)
        assert f'+QLTS: "{local:%Y/%m/%d,%H:%M}'.encode() in await ask(bench, "AT+QLTS=2")

    play("bc660k", nbiot)
    play("ec200", cat1)


@pytest.mark.parametrize("family", FAMILIES)
def test_send_and_receive_in_the_familys_form(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            assert await opened(bench, echo.port) == b"0\r\n"
            data = b"\r\nOK\r\n> \x1a\x1b"
            assert await ask(bench, f"AT+QISEND=0,{len(data)}", b"> ") == b"\r\n> "
            bench.write(data[:3])
            bench.write(data[3:])
            answer = await bench.until(b"SEND OK\r\n")
            assert answer == (OK if family == "bc660k" else b"") + b"\r\nSEND OK\r\n"
            separator = b"," if family == "bc660k" else b"\r\n"
            urc = b'\r\n+QIURC: "recv",0,%d' % len(data) + separator + data + b"\r\n"
            assert await bench.until(urc) == urc
            assert bytes(echo.got) == data
            assert b"+QISEND: 10,10,0" in await ask(bench, "AT+QISEND=0,0")
            (connection,) = bench.twin.connections
            assert (connection.up, connection.down) == (len(data), len(data))
            echo.writers[0].close()
            await bench.until(b'\r\n+QIURC: "closed",0\r\n')
            assert await opened(bench, echo.port) == b"563\r\n"  # occupied until QICLOSE
            await ask(bench, "AT+QICLOSE=0", b"CLOSE OK\r\n" if family == "bc660k" else OK)
            assert await opened(bench, echo.port) == b"0\r\n"
            assert bench.sockets == 1

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_results_of_connections_that_fail(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            assert await opened(bench, echo.port, "unknown.example", 0) == b"565\r\n"
            assert await opened(bench, echo.port, "192.0.2.7", 1) == b"566\r\n"
            echo.server.close()
            await echo.server.wait_closed()
            assert await opened(bench, echo.port, "127.0.0.1", 2) == b"566\r\n"
            bench.twin.network.set_coverage(False)
            await asyncio.sleep(1)
            bench.heard.clear()
            assert await opened(bench, echo.port, "127.0.0.1", 3) == b"561\r\n"
            assert bench.sockets == 0

    play(family, case)


def test_a_name_can_only_be_mapped_to_loopback() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            assert await opened(bench, echo.port, "Broker.Example") == b"0\r\n"

    play("ec200", case, resolve={"broker.example": "127.0.0.1"})
    play("ec200", case, resolve={"*": "127.0.0.1"})
    with pytest.raises(ValueError, match=r"192\.0\.2\.1 is not a loopback address"):
        play("ec200", case, resolve={"broker.example": "192.0.2.1"})


@pytest.mark.parametrize("family", FAMILIES)
def test_a_peer_that_does_not_read_ends_in_send_fail_not_in_memory(family: str) -> None:
    async def case(bench: Bench) -> None:
        stuck = asyncio.Event()

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            await stuck.wait()
            writer.close()

        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server = await asyncio.start_server(deaf, sock=listener)
        await attached(bench)
        await opened(bench, server.sockets[0].getsockname()[1])
        (connection,) = bench.twin.connections
        assert connection.writer is not None
        sender = connection.writer.get_extra_info("socket")
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for _ in range(2000):
            bench.twin.on_bytes(b"AT+QISEND=0,1000\r" + bytes(1000))
            await asyncio.sleep(0.2)
            if b"SEND FAIL" in bench.heard:
                break
            bench.heard.clear()
        assert b"SEND FAIL" in bench.heard
        assert connection.writer.transport.get_write_buffer_size() <= 16384
        stuck.set()
        server.close()

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fast_peer_is_held_back_to_the_baud_rate(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await opened(bench, echo.port)
            await echo.connected.wait()
            begin = bench.loop.time()
            echo.writers[0].write(bytes(30_000))
            worst = 0
            while bench.twin.down_bytes < 30_000:
                worst = max(worst, bench.twin.wire.backlog_us())
                await asyncio.sleep(0.01)
            assert worst < 300_000
            assert bench.loop.time() - begin > 2.2  # 30 kB take 2.6 s at 115,200 baud

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_bytes_come_in_order_in_chunks_and_at_the_baud_rate(family: str) -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        bench.due_us.clear()
        await ask(bench, "ATI")
        assert len(bench.due_us) > 2
        assert all(a <= b for a, b in pairwise(bench.due_us))

    play(family, case, seed=3, attach_delay_s=(100, 100))


def test_deep_sleep_swallows_the_first_at_and_loses_the_sockets() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await opened(bench, echo.port)
            await ask(bench, "AT+QSCLK=1")
            await asyncio.sleep(9)
            assert bench.twin.sleeps == 0
            await asyncio.sleep(2)
            assert bench.twin.sleeps == 1
            assert bench.sockets == 0
            bench.heard.clear()
            bench.write(b"AT\r")
            await asyncio.sleep(2)
            assert bytes(bench.heard) == b"\r\n"
            bench.heard.clear()
            assert await ask(bench, "AT") == OK
            assert b"+CEREG: 0,1" in await ask(bench, "AT+CEREG?")
            await ask(bench, "AT+QISEND=0,5", b"ERROR\r\n")

    play("bc660k", case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_power_cut_drops_everything_at_once(family: str) -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await opened(bench, echo.port)
            await echo.connected.wait()
            bench.write(b"AT+QISEND=0,100\r")
            bench.twin.power_off()
            assert bench.sockets == 0
            assert bench.twin.state is State.OFF
            await asyncio.sleep(1)
            bench.heard.clear()
            bench.write(b"AT\r" * 50)
            echo.writers[0].write(b"into the void")
            await asyncio.sleep(100)
            assert not bench.heard
            bench.twin.power_on()
            await booted(bench)
            assert b",2\r\n" in await ask(bench, "AT+CEREG?")

    play(family, case)


def test_the_apn_in_the_modems_flash_outlives_a_power_cut() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        await ask(bench, 'AT+QCGDEFCONT="IP","a.example"')
        assert b"NBIOT" in await ask(bench, "AT+CGDCONT?")  # in force after a restart only
        bench.twin.power_off()
        bench.twin.power_on()
        await booted(bench)
        assert b"A.EXAMPLE" in await ask(bench, "AT+CGDCONT?")

    play("bc660k", case, attach_delay_s=(100, 100))


def test_a_prompt_expires_and_the_command_mode_comes_back() -> None:
    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await opened(bench, echo.port)
            await ask(bench, "AT+QISEND=0,100", b"> ")
            bench.write(b"AT\r")  # taken for data
            await asyncio.sleep(50)
            assert not bench.heard
            await bench.until(b"\r\nERROR\r\n", 11)
            assert await ask(bench, "AT") == OK
            assert bench.twin.up_bytes == 0

    play("ec200", case)


def test_a_host_in_deep_sleep_leaves_the_modem_alive_and_its_half_line_is_forgotten() -> None:
    async def case(bench: Bench) -> None:
        await booted(bench)
        bench.write(b"AT+CFU")
        bench.twin.deep_sleep_of_host()
        await asyncio.sleep(100)
        assert bench.twin.network.registered
        assert await ask(bench, "AT") == OK

    play("ec200", case)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_timer_waits_while_a_socket_is_open_and_the_host_is_at_work(family: str) -> None:
    """The board jumps to a twin's events: an idle one would let its deadlines pass at once."""

    async def case(bench: Bench) -> None:
        async with Echo() as echo:
            await attached(bench)
            await opened(bench, echo.port)
            await ask(bench, "AT+QISEND=0,5", b"> ")
            bench.write(b"hello")
            await bench.until(b"hello\r\n")
            await asyncio.sleep(0.1)
            assert bench.waiting() == 0

    play(family, case)


def test_the_grammar_of_a_command_line() -> None:
    assert parse("AT") == Command("")
    assert parse("ate0") == Command("E0")
    assert parse("AT+CEREG?") == Command("+CEREG", Op.READ)
    assert parse("AT+CEREG=?") == Command("+CEREG", Op.TEST)
    assert parse('AT+X="a,b", 3,') == Command("+X", Op.SET, ("a,b", "3", ""))
    with pytest.raises(GrammarError):
        parse('AT+X="a')


def test_the_same_seed_gives_the_same_modem() -> None:
    async def main() -> None:
        first, again, other = (ModemTwin("ec200", seed=seed) for seed in (1, 1, 2))
        assert first.family.imei == again.family.imei != other.family.imei

    jumping(main)
