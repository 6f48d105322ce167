"""`kapok modem-twin`: a modem for drivers that are not ours, by pyserial and by bare descriptors.

All of it runs in real time, since the drivers do.
"""

import asyncio
import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
from cli_rig import out, out_json, refusal
from modem_bench import Echo

from hil.standalone.lines import LineError
from hil.standalone.port import RealPort
from hil.standalone.ports import open_line
from hil.standalone.run import Standalone
from hil.virtual.modem import ModemTwin
from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.replay import StrictReplay
from hil.virtual.modem.transcript import parse
from hil.virtual.twin import UartTwin

OK = b"\r\nOK\r\n"
OPENED = b"+QIOPEN: 0,0\r\n"
WAIT_S = 60.0
QUICK = 7  # a seed with which a BC660K starts soon
CONTEXTS = {"bc660k": 0, "ec200": 1}


def replay(*lines: tuple[str | None, str, float]) -> StrictReplay:
    return StrictReplay(parse(record(*lines).encode(), "t"))


def record(*lines: tuple[str | None, str, float]) -> str:
    keys = ("request", "reply", "delay")
    return "\n".join(json.dumps(dict(zip(keys, line, strict=True))) for line in lines)


async def alone(
    twin: UartTwin, port: str, work: Callable[[Standalone], None], baud: int = 115200
) -> Standalone:
    """The twin serves while `work(stand)` runs in a thread; then it is told to end."""
    stand = Standalone(twin, open_line(port, baud))
    ready = asyncio.Event()

    async def drive() -> None:
        await ready.wait()
        try:
            await asyncio.to_thread(work, stand)
        finally:
            stand.stop()

    await asyncio.gather(stand.run(ready.set), drive())
    return stand


def opened(name: str) -> Any:
    return serial.serial_for_url(name, 115200, timeout=WAIT_S)  # type: ignore[no-untyped-call]


def ask(port: Any, line: str, mark: bytes = OK, end: bytes = b"\r") -> bytes:
    port.write(line.encode() + end)
    return until(port, mark)


def until(port: Any, mark: bytes) -> bytes:
    heard: bytes = port.read_until(mark)
    assert heard.endswith(mark), heard
    return heard


def found(port: Any) -> None:
    """Say AT until there is an OK, as every driver does."""
    port.timeout = 0.5
    ends = time.monotonic() + WAIT_S
    while not ask_once(port):
        assert time.monotonic() < ends
    port.timeout = WAIT_S
    ask(port, "ATE0")


def ask_once(port: Any) -> bool:
    port.write(b"AT\r")
    answered: bool = port.read_until(OK).endswith(OK)
    return answered


def session(name: str, family: str, server: int) -> None:
    """What a driver does to send seven bytes and to hear the peer's answer."""
    with opened(name) as port:
        found(port)
        assert b"Quectel" in ask(port, "ATI")
        if family == "bc660k":
            ask(port, "AT+QSCLK=0")
        for _ in range(600):
            if b"+CEREG: 0,1" in ask(port, "AT+CEREG?"):
                break
            time.sleep(0.1)
        if family == "ec200" and b"+QIACT: 1" not in ask(port, "AT+QIACT?"):
            ask(port, "AT+QIACT=1")
        context = CONTEXTS[family]
        ask(port, f'AT+QIOPEN={context},0,"TCP","127.0.0.1",{server},0,1', OPENED)
        ask(port, "AT+QISEND=0,9", b"> ")
        port.write(b"\r\nOK\r\n>\x00\xff")
        until(port, b"SEND OK\r\n")
        header = b'+QIURC: "recv",0,9' + (b"," if family == "bc660k" else b"\r\n")
        until(port, header)
        assert port.read(9) == b"\r\nOK\r\n>\x00\xff"
        ask(port, "AT+QICLOSE=0")


def wait_for(reached: Callable[[], bool]) -> None:
    ends = time.monotonic() + WAIT_S
    while not reached():
        assert time.monotonic() < ends
        time.sleep(0.01)


def read(fd: int, count: int, seconds: float = WAIT_S) -> bytes:
    """`count` bytes, or what came in that time."""
    heard = b""
    ends = time.monotonic() + seconds
    while len(heard) < count and select.select([fd], [], [], max(0, ends - time.monotonic()))[0]:
        heard += os.read(fd, count - len(heard))
    return heard


# -- lines --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", CONTEXTS)
async def test_pyserial_has_a_session_comes_back_and_has_another(family: str) -> None:
    async with Echo() as echo:

        def work(stand: Standalone) -> None:
            session(stand.name, family, echo.port)
            session(stand.name, family, echo.port)

        async def on(port: str) -> None:
            twin = ModemTwin(family, seed=QUICK, attach_delay_s=(0.1, 0.2), chatter=0.0)
            stand = await alone(twin, port, work)
            assert (twin.up_bytes, twin.down_bytes) == (18, 18)
            assert stand.heard > 200
            assert stand.said > 200

        await asyncio.gather(on("pty"), on("tcp:0"))
    assert echo.got == 4 * b"\r\nOK\r\n>\x00\xff"


async def test_a_driver_may_end_its_lines_with_cr_lf() -> None:
    twin = ModemTwin("bc660k", seed=QUICK, attach_delay_s=(0.1, 0.2), chatter=0.0)

    async with Echo() as echo:

        def work(stand: Standalone) -> None:
            with opened(stand.name) as port:
                found(port)
                wait_for(lambda: b"+CEREG: 0,1" in ask(port, "AT+CEREG?", OK, b"\r\n"))
                ask(port, f'AT+QIOPEN=0,0,"TCP","127.0.0.1",{echo.port},0,1', OPENED, b"\r\n")
                ask(port, "AT+QISEND=0,5", b"> ", b"\r\n")
                port.write(b"\nhell")
                until(port, b"SEND OK\r\n")
                until(port, b'+QIURC: "recv",0,5,\nhell')

        await alone(twin, "pty", work)
    assert echo.got == b"\nhell"


async def test_every_family_answers() -> None:
    def work(stand: Standalone) -> None:
        with opened(stand.name) as port:
            found(port)
            ask(port, "AT+CGMM")

    async with asyncio.timeout(2 * WAIT_S):
        await asyncio.gather(
            *(alone(ModemTwin(name, seed=1, chatter=0.0), "pty", work) for name in FAMILIES)
        )


async def test_a_terminal_that_exists_is_served_and_its_end_is_told() -> None:
    master, slave = os.openpty()
    name = os.ttyname(slave)
    before = termios.tcgetattr(slave)

    def work(_: Standalone) -> None:
        os.write(master, b"AT\r")
        assert read(master, 6) == OK

    await alone(replay(("AT", "\r\nOK\r\n", 0)), name, work)
    assert termios.tcgetattr(slave) == before

    def hang_up(_: Standalone) -> None:
        os.close(master)

    async with asyncio.timeout(WAIT_S):
        with pytest.raises(LineError, match=f"^{name} is gone$"):
            await alone(replay(("AT", "", 0)), name, hang_up)
    os.close(slave)


async def test_a_bare_descriptor_is_enough() -> None:
    # Neither echo nor translation of line ends, though nobody has set the terminal up.
    def work(stand: Standalone) -> None:
        fd = os.open(stand.name, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"AT\r")
        assert read(fd, 6) == OK
        os.write(fd, b"AT+X\r")
        assert read(fd, 256) == bytes(range(256))
        os.close(fd)

    everything = bytes(range(256)).decode("latin-1")
    await alone(replay(("AT", "\r\nOK\r\n", 0), ("AT+X", everything, 0)), "pty", work)


async def test_a_shell_may_write_and_be_gone_before_anybody_looks() -> None:
    twin = replay(("AT+A", "\r\n+A\r\n", 0.05), ("AT+B", "\r\n+B\r\n", 0))

    def work(stand: Standalone) -> None:
        subprocess.run(["sh", "-c", f"printf 'AT+A\\r' > {stand.name}"], check=True)
        wait_for(lambda: stand.lost > 0)
        with opened(stand.name) as port:
            # The answer to the shell was lost, as a UART loses what nobody is there to hear.
            assert ask(port, "AT+B", b"+B\r\n") == b"\r\n+B\r\n"

    stand = await alone(twin, "pty", work)
    assert stand.lost == 6


@pytest.mark.parametrize("port", ["pty", "tcp:0"])
async def test_who_comes_later_gets_nothing_old(port: str) -> None:
    def work(stand: Standalone) -> None:
        with opened(stand.name) as first:
            first.write(b"AT+A\r")
            assert until(first, b"+A\r\n")
        wait_for(lambda: stand.lost > 0)  # +OLD was said to nobody
        with opened(stand.name) as second:
            assert ask(second, "AT+B", b"+B\r\n") == b"\r\n+B\r\n"

    lines = (
        ("AT+A", "\r\n+A\r\n", 0.0), (None, "\r\n+OLD\r\n", 0.3), ("AT+B", "\r\n+B\r\n", 0.0)
    )  # fmt: skip
    stand = await alone(replay(*lines), port, work)
    assert stand.lost == len(b"\r\n+OLD\r\n")


async def test_a_second_tcp_client_is_served_after_the_first() -> None:
    def work(stand: Standalone) -> None:
        where = ("127.0.0.1", int(stand.name.rpartition(":")[2]))
        with socket.create_connection(where) as first, socket.create_connection(where) as second:
            second.sendall(b"AT+B\r")
            first.sendall(b"AT+A\r")
            assert read(first.fileno(), 6) == b"\r\n+A\r\n"
            assert read(second.fileno(), 1, 0.2) == b""
            first.close()
            assert read(second.fileno(), 6) == b"\r\n+B\r\n"

    lines = (("AT+A", "\r\n+A\r\n", 0), ("AT+B", "\r\n+B\r\n", 0))
    twin = replay(*lines)
    await alone(twin, "tcp:0", work)
    assert not twin.departed


async def test_a_driver_that_does_not_read_costs_bytes_and_nothing_else() -> None:
    big = "x" * 60_000

    def work(stand: Standalone) -> None:
        fd = os.open(stand.name, os.O_RDWR | os.O_NOCTTY)
        os.write(fd, b"AT+A\r")
        wait_for(lambda: stand.said >= len(big))
        heard = len(read(fd, len(big), 1.0))
        assert 0 < heard < len(big)
        os.write(fd, b"AT+B\r")
        assert read(fd, 6) == b"\r\n+B\r\n"
        os.close(fd)

    steps = parse(record(("AT+A", big, 0), ("AT+B", "\r\n+B\r\n", 0)).encode(), "t")
    stand = await alone(StrictReplay(steps, baud=921_600), "pty", work)
    assert stand.lost > 0


async def test_bytes_come_at_the_baud_rate() -> None:
    def work(stand: Standalone) -> None:
        with opened(stand.name) as port:
            began = time.monotonic()
            ask(port, "AT", OK)
            took.append(time.monotonic() - began)

    took: list[float] = []
    steps = parse(record(("AT", "x" * 474 + "\r\nOK\r\n", 0.1)).encode(), "t")
    await alone(StrictReplay(steps, baud=9600), "pty", work)
    assert took[0] >= 0.1 + 483 * 10 / 9600


@pytest.mark.parametrize(("kind", "heard"), [("pty", True), ("wire", False)])
async def test_a_rate_matters_on_a_wire_only(kind: str, heard: bool) -> None:
    twin = ModemTwin("bc660k", seed=QUICK, chatter=0.0)

    def work(stand: Standalone) -> None:
        with opened(stand.name) as port:
            found(port)
            port.baudrate = 9600
            port.timeout = WAIT_S if heard else 0.5
            assert ask_once(port) == heard
            port.baudrate = 115_200
            found(port)

    await alone(twin, kind, work)


async def test_power_can_be_cut_by_a_signal() -> None:
    twin = ModemTwin("bc660k", seed=QUICK, attach_delay_s=(0.1, 0.2), chatter=0.0)

    def work(stand: Standalone) -> None:
        with opened(stand.name) as port:
            until(port, b"RDY\r\n")
            found(port)
            os.kill(os.getpid(), signal.SIGUSR1)
            until(port, b"RDY\r\n")
            found(port)

    await alone(twin, "pty", work)
    assert twin.boots == 2


async def test_the_port_keeps_order_and_a_power_cut_empties_it() -> None:
    class Sink:
        name = ""
        lost = 0
        got = b""

        def start(self, *_: object) -> None: ...

        def send(self, data: bytes) -> None:
            self.got += data

        def driver_baud(self) -> int:
            return 0

        def stop(self) -> None: ...

    sink = Sink()
    port = RealPort(sink)
    done = asyncio.Event()
    now = port.now()
    port.send(b"1", now + 20_000)
    port.send(b"2", now)  # never overtakes
    order: list[int] = []
    for i in range(50):
        port.call_at(now + 20_000, lambda i=i: order.append(i))  # type: ignore[misc]
    port.call_at(now + 10_000, lambda: order.append(99)).cancel()
    port.call_at(now + 30_000, done.set)
    await done.wait()
    assert sink.got == b"12"
    assert order == list(range(50))
    assert port.now() >= now + 30_000
    port.send(b"3", now + 60_000)
    port.power_cut()
    done.clear()
    port.call_at(now + 100_000, done.set)
    await done.wait()
    assert sink.got == b"12"


# -- the command --------------------------------------------------------------------------------


@contextlib.contextmanager
def kapok(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """`kapok modem-twin ARGUMENTS` as a process; it is gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fleet", "modem-twin", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    line = process.stdout.readline().strip()
    assert line, process.stderr and process.stderr.read()
    return line


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_line_that_sums_up(number: signal.Signals) -> None:
    with kapok("--family", "bc660k", "--seed", QUICK) as process:
        with opened(first_line(process)) as port:
            found(port)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, errors) == (0, "")
    assert rest.count("\n") == 1
    assert re.match(r"\d+ commands; UART \d+ B in, \d+ B out, \d+ B lost; sockets", rest)


def test_json_tells_the_port_and_sums_up() -> None:
    options = ("--family", "bc660k", "--scenario", "deep-basement.toml", "--seed", QUICK)
    with kapok(*options, "--port", "tcp:0", "--json") as process:
        facts = json.loads(first_line(process))
        assert facts["scenario"] == "deep-basement"
        assert facts["family"] == "bc660k"
        assert facts["seed"] == QUICK
        with opened(facts["port"]) as port:
            found(port)
        process.terminate()
        rest, _ = process.communicate(timeout=WAIT_S)
    summary = json.loads(rest)
    assert summary["commands"] >= 2
    assert summary["uart_in"] > 0
    assert summary["uart_out"] > 0
    assert summary["energy_mj"] > 0


def test_strict_departure_is_exit_code_3_and_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(record(("AT", "\r\nOK\r\n", 0), ("AT+A", "", 0), ("AT+B", "", 0)))
    with kapok("--transcript", path) as process, opened(first_line(process)) as port:
        ask(port, "AT")
        port.write(b"AT+B\r")
        rest, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 3
    assert rest == ""
    assert errors == f"kapok: {path}:2: expected 'AT+A', got 'AT+B'\n"


def test_lenient_tells_departures_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(record(("AT", "\r\nOK\r\n", 0), ("AT+A", "\r\nOK\r\n", 0), ("AT+B", "", 0)))
    with kapok("--transcript", path, "--lenient") as process:
        with opened(first_line(process)) as port:
            ask(port, "AT+A")
            ask(port, "AT+C", b"ERROR\r\n")
            ask(port, "AT")
        process.terminate()
        rest, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert errors == f"kapok: {path}:2: got 'AT+C', which is not recorded behind this line\n"
    assert "1 departures; 1 requests never reached, the first on line 3" in rest


NO_LINE = ("--port", "/dev/null")


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["--family", "m95"], 2, "no family 'm95'; known are "),
        ([], 2, "--family is missing"),
        (["--family", "ec200", "--scenario", "nowhere", *NO_LINE], 1, "no scenario nowhere"),
        (["--family", "ec200", "--scenario", "bad.toml", *NO_LINE], 1, "bad.toml"),
        (["--family", "ec200", "--port", "tcp:99999"], 2, "tcp:99999"),
        (["--family", "ec200", "--port", "tcp:x"], 2, "tcp:x"),
        (["--family", "ec200", "--port", "ttyUSB0"], 2, "ttyUSB0"),
        (["--family", "ec200", "--port", "/dev/null"], 1, "/dev/null is not a terminal"),
        (["--family", "ec200", "--port", "/dev/pts/9999"], 1, "No such file"),
        (["--family", "ec200", "--port", "./bad.toml"], 1, "bad.toml is not a terminal"),
        (["--family", "ec200", "--resolve", "x=8.8.8.8"], 2, "loopback"),
        (["--family", "ec200", "--resolve", "127.0.0.1"], 2, "NAME=ADDRESS"),
        (["--family", "ec200", "--lenient"], 2, "--transcript"),
        (["--family", "ec200", "--transcript", "bad.jsonl"], 2, "--family"),
        (["--transcript", "bad.jsonl"], 1, "bad.jsonl:2: "),
        (["--transcript", "none.jsonl"], 2, "none.jsonl"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("= 1")
    (tmp_path / "bad.jsonl").write_text('{"request": "AT", "reply": "OK"}\nAT\n')
    assert what in refusal(tmp_path, "modem-twin", *arguments, code=code)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        said = refusal(tmp_path, "modem-twin", "--family", "ec200", "--port", f"tcp:{number}")
    assert said == f"kapok: tcp:{number}: Address already in use\n"


def test_the_list_has_every_family_and_scenario(tmp_path: Path) -> None:
    listed = out_json(tmp_path, "modem-twin", "--list")
    assert {"bc660k", "ec200"} <= {family["name"] for family in listed["families"]}
    assert "deep-basement" in {scenario["name"] for scenario in listed["scenarios"]}
    text = out(tmp_path, "modem-twin", "--list")
    assert "BC660K-GL" in text
    assert "deep-basement" in text
