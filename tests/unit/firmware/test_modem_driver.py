"""The modem drivers against their twins, in jumping time: every way a contact can go."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from modem_bench import Bench, Echo, jumping
from node.errors import ConfigError, LinkError, ModemMute, NodeError, SocketError
from node.link.modems import open_modem
from node.link.registration import AttachRefused, AttachTimeout

from hil.virtual.modem import ModemTwin, State
from hil.virtual.modem.bc660k import Bc660k

FAMILIES = ["bc660k", "ec200"]
NASTY = b'\r\nOK\r\n> +QIURC: "recv",0,9,\r\nERROR\r\nSEND OK\r\n+QIURC: "closed",0\r\n'
Case = Callable[[Any, Bench, Echo], Awaitable[None]]


class FakePin:
    """A pin wired to the twin; keeps what was set."""

    def __init__(self, twin: ModemTwin, name: str) -> None:
        self.twin, self.name = twin, name
        self.levels: list[int] = []

    def value(self, level: int) -> None:
        self.levels.append(level)
        self.twin.pin(self.name, level)


def play(family: str, case: Case, *, seed: int = 1, pins: tuple[str, ...] = (), **kw: Any) -> None:
    async def main() -> None:
        twin = ModemTwin(family, seed=seed, **kw)
        bench = Bench(twin)
        wired = {name: FakePin(twin, name) for name in pins}
        async with Echo() as echo:
            twin.power_on()
            await case(open_modem(family, bench, wired), bench, echo)
            twin.power_off()
        assert bench.sockets == 0

    jumping(main)


async def exchange(socket: Any, data: bytes) -> bytes:
    await socket.send(data)
    got = b""
    while len(got) < len(data):
        part = await asyncio.wait_for(socket.recv(700), 60)
        assert part
        got += part
    return got


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_contact(family: str, seed: int) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        assert await modem.network_time() is None
        await modem.attach("iot.example", 180_000)
        assert bench.loop.time() >= 20
        assert abs(await modem.network_time() - bench.now() // 1_000_000) <= 1
        identity = await modem.identity()
        assert identity["imei"] == bench.twin.family.imei
        assert identity["imsi"] == bench.twin.family.imsi
        assert identity["iccid"] == bench.twin.family.iccid
        assert identity["firmware"] == bench.twin.family.table.firmware
        quality = await modem.signal()
        assert (quality["rssi_dbm"], quality["rsrp_dbm"], quality["rsrq_ddb"]) == (-69, -90, -80)
        assert quality["ecl"] == (0 if family == "bc660k" else None)
        cell, signal = bench.twin.network.cell, bench.twin.signal()
        assert cell is not None
        assert signal is not None
        assert (quality["tac"], quality["cell"]) == (cell.tac, cell.ci)
        assert (quality["band"], quality["earfcn"]) == (cell.band, cell.earfcn)
        assert (quality["pci"], quality["snr_ddb"]) == (cell.pci, 10 * signal.snr_db)
        socket = await modem.connect("localhost", echo.port, 60_000)
        data = random.Random(seed).randbytes(3000) + NASTY
        assert await exchange(socket, data) == data
        assert (socket.sent, socket.received) == (len(data), len(data))
        assert (bench.twin.up_bytes, bench.twin.down_bytes) == (len(data), len(data))
        await socket.close()
        await socket.close()
        await modem.sleep()

    play(family, case, seed=seed, chatter=0.5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_second_wake_finds_the_sleeping_modem(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        await modem.connect("localhost", echo.port, 60_000)
        await modem.sleep()
        await asyncio.sleep(3600)
        before = bench.loop.time()
        if family == "bc660k":
            assert bench.twin.state is State.ASLEEP
        await modem.wake()
        assert bench.loop.time() - before < 5
        await modem.attach("", 180_000)
        socket = await modem.connect("localhost", echo.port, 60_000)
        assert await exchange(socket, b"again") == b"again"

    play(family, case)


def test_psm_exit_and_dtr_pins_wake_and_let_sleep() -> None:
    async def nbiot(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.sleep()
        await asyncio.sleep(100)
        await modem.wake()
        assert modem._pins["psm_exit"].levels == [1, 0, 1, 0]

    async def cat1(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        await modem.sleep()
        await asyncio.sleep(100)
        assert bench.twin.state is State.ASLEEP
        before = bench.loop.time()
        await modem.wake()
        await modem.attach("", 60_000)
        assert bench.loop.time() - before < 5  # it stayed registered

    play("bc660k", nbiot, pins=("psm_exit",), attach_delay_s=(1, 2))
    play("ec200", cat1, pins=("dtr",))


def test_bc660k_apn_is_set_once_by_a_restart_and_kept_in_the_modem() -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("Iot.Example", 180_000)
        assert bench.twin.boots == 2
        assert isinstance(bench.twin.family, Bc660k)
        assert bench.twin.family.apn == "IOT.EXAMPLE"
        await modem.attach("iot.example", 180_000)
        assert bench.twin.boots == 2

    play("bc660k", case)


@pytest.mark.parametrize("cause", [3, 8, 11, 15, 22])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_refusal_carries_its_emm_cause_and_is_not_for_ever(family: str, cause: int) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        bench.twin.network.refuse(cause)
        await modem.wake()
        with pytest.raises(AttachRefused) as caught:
            await modem.attach("", 180_000)
        assert caught.value.cause == cause
        bench.twin.network.refuse(None)
        await modem.attach("", 180_000)

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_coverage_ends_at_the_deadline(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        bench.twin.network.set_coverage(False)
        await modem.wake()
        before = bench.loop.time()
        with pytest.raises(AttachTimeout):
            await modem.attach("", 90_000)
        assert bench.loop.time() - before == pytest.approx(90, abs=1)
        bench.twin.network.set_coverage(True)
        await modem.attach("", 90_000)

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_connect_tells_refused_unknown_and_foreign_hosts(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        echo.server.close()
        await echo.server.wait_closed()
        for host, port, cause in (
            ("localhost", echo.port, 566),
            ("nobody.example", 8883, 565),
            ("192.0.2.1", 8883, 566),
        ):
            with pytest.raises(SocketError) as caught:
                await modem.connect(host, port, 60_000)
            assert caught.value.cause == cause
        assert bench.twin.bridge.get(0) is None  # each failure was closed

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_socket_of_the_life_before_is_closed_and_its_number_used(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        await modem.connect("localhost", echo.port, 60_000)
        modem.at.stop()  # the host restarts, the modem does not
        reborn = open_modem(family, bench)
        await reborn.wake()
        await reborn.attach("", 180_000)
        socket = await reborn.connect("localhost", echo.port, 60_000)
        assert await exchange(socket, b"new") == b"new"
        reborn.at.stop()

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_recv_is_empty_after_the_peer_closed_but_not_before_its_last_byte(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        socket = await modem.connect("localhost", echo.port, 60_000)
        await socket.send(b"last words")
        await echo.heard.wait()
        echo.writers[0].close()
        await asyncio.sleep(5)
        assert await socket.recv(4) == b"last"
        assert await socket.recv(100) == b" words"
        assert await socket.recv(100) == b""
        with pytest.raises(SocketError):
            await socket.send(b"x")
        await socket.close()

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_full_send_buffer_is_waited_for_and_a_dead_one_given_up(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        socket = await modem.connect("localhost", echo.port, 60_000)
        bench.twin.family.full_sends = 3
        assert await exchange(socket, b"after three") == b"after three"
        bench.twin.family.full_sends = 1000
        with pytest.raises(SocketError):
            await socket.send(b"never")
        await socket.close()

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_restart_of_the_modem_loses_the_sockets_and_says_so(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        socket = await modem.connect("localhost", echo.port, 60_000)
        bench.twin.restart()
        with pytest.raises(SocketError):
            await asyncio.wait_for(socket.recv(1), 30)
        await modem.wake()
        await modem.attach("", 180_000)
        socket = await modem.connect("localhost", echo.port, 60_000)
        assert await exchange(socket, b"x") == b"x"

    play(family, case)


def test_a_pdp_context_taken_away_loses_the_sockets() -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        socket = await modem.connect("localhost", echo.port, 60_000)
        bench.twin.network.set_coverage(False)
        with pytest.raises(SocketError):
            await asyncio.wait_for(socket.recv(1), 30)

    play("ec200", case)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_nobody_reads_is_bounded(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        await modem.attach("", 180_000)
        socket = await modem.connect("localhost", echo.port, 60_000)
        await socket.send(b"hello")
        await echo.connected.wait()
        echo.writers[0].write(bytes(50_000))
        await asyncio.sleep(30)
        assert len(socket._held) <= 8192
        assert len(await socket.recv(10_000)) <= 8192
        with pytest.raises(SocketError):
            await socket.recv(1000)

    play(family, case)


def test_a_reset_pin_is_the_last_means_against_a_mute_modem() -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        bench.twin.shut_down()
        await modem.wake()
        assert modem._pins["reset"].levels == [1, 0]

    play("bc660k", case, pins=("reset",))


def test_pwrkey_switches_a_modem_on() -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        bench.twin.shut_down()
        await modem.wake()

    play("ec200", case, pins=("pwrkey",))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_modem_that_never_answers_is_mute_within_its_bound(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        bench.twin.mute = True
        with pytest.raises(ModemMute):
            await modem.wake()
        assert bench.loop.time() < 25
        before = bench.loop.time()
        await modem.sleep()
        assert bench.loop.time() == before

    play(family, case)


async def contact(modem: Any, port: int) -> None:
    try:
        await modem.wake()
        await modem.attach("iot.example", 60_000)
        await modem.network_time()
        socket = await modem.connect("localhost", port, 30_000)
        try:
            assert await asyncio.wait_for(exchange(socket, bytes(4000)), 60) == bytes(4000)
        finally:
            await socket.close()
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(LinkError):
            await modem.sleep()


@pytest.mark.parametrize("fault", ["mute", "restart", "shut_down"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_fault_at_any_moment_ends_in_our_errors_and_in_bounded_time(
    family: str, fault: str
) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        def strike() -> None:
            if fault == "mute":
                bench.twin.mute = True
            else:
                getattr(bench.twin, fault)()

        # The faults fall on each command of the contact in turn.
        seen = 0
        armed = {"at": 0}
        on_bytes = bench.twin.on_bytes

        def counting(data: bytes) -> None:
            nonlocal seen
            seen += 1
            if seen == armed["at"]:
                strike()
            on_bytes(data)

        bench.twin.on_bytes = counting  # type: ignore[method-assign]
        for at in range(1, 60):
            bench.twin.power_off()
            bench.twin.mute = False
            bench.twin.power_on()
            seen, armed["at"] = 0, at
            begin = bench.loop.time()
            with contextlib.suppress(NodeError):
                await contact(modem, echo.port)
            assert bench.loop.time() - begin < 240, (at, bench.twin.log)
            if seen < at:
                break

    play(family, case, attach_delay_s=(1, 3))


HOSTILE = ['x",1\rAT+QPOWD=1\r', "a\nb", 'q"', "b\x1ac", "é", "h" * 151, "with space"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("family", FAMILIES)
def test_at_injection_by_configuration_is_refused_before_a_byte_is_sent(
    family: str, text: str
) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        await modem.wake()
        before = len(bench.written)
        with pytest.raises(ConfigError):
            await modem.attach(text, 1000)
        with pytest.raises(ConfigError):
            await modem.connect(text, 1, 1000)
        assert len(bench.written) == before

    play(family, case)


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(ConfigError, match="a7670, bc660k, bc95, ec200, sim7080"):
        open_modem("bc26", None)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cancelled_contact_leaves_a_modem_that_the_next_one_can_use(family: str) -> None:
    async def case(modem: Any, bench: Bench, echo: Echo) -> None:
        rng = random.Random(family)
        for _ in range(12):
            task = asyncio.create_task(contact(modem, echo.port))
            await asyncio.sleep(rng.uniform(0, 8))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await contact(modem, echo.port)
        assert bytes(4000) in bytes(echo.got)

    play(family, case, attach_delay_s=(0.1, 1))
