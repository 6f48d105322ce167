"""What only one of BC95, SIM7080 and A7670 does, its driver against its twin in jumping time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from at_stream import Scripted
from modem_bench import Bench, Echo, jumping
from node.errors import AtTimeout, SocketError
from node.link.modems import open_modem
from node.link.modems.sim7080 import Sim7080
from node.link.registration import AttachRefused
from twin_play import NASTY, UdpEcho

from hil.virtual.modem import ModemTwin

FAMILIES = ["bc95", "sim7080", "a7670"]
Case = Callable[[Any, Bench, Echo, UdpEcho], Awaitable[None]]


class Pin:
    """A pin wired to the twin; keeps what was set."""

    def __init__(self, twin: ModemTwin, name: str) -> None:
        self.twin, self.name = twin, name
        self.levels: list[int] = []

    def value(self, level: int) -> None:
        self.levels.append(level)
        self.twin.pin(self.name, level)


def play(family: str, case: Case, *, seed: int = 1, pins: tuple[str, ...] = (), **kw: Any) -> None:
    """An attached modem, and an echo for TCP and one for UDP; fleet.example is 127.0.0.1."""

    async def main() -> None:
        options = {"attach_delay_s": (1, 3), "resolve": {"fleet.example": "127.0.0.1"}, **kw}
        bench = Bench(ModemTwin(family, seed=seed, **options))
        async with Echo() as tcp, UdpEcho() as udp:
            bench.twin.power_on()
            wired = {name: Pin(bench.twin, name) for name in pins}
            modem = open_modem(family, bench, wired)
            await modem.wake()
            await modem.attach("iot.example", 180_000)
            await case(modem, bench, tcp, udp)
            modem.at.stop()
            bench.twin.power_off()
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


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_streams_and_datagrams_side_by_side(family: str, seed: int) -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        rng = random.Random(seed)
        stream = await modem.connect("fleet.example", tcp.port, 60_000)
        peer = await modem.datagram("fleet.example", udp.port, 60_000)
        for size in (1, 30, 255, 256, 257, 511, 512):
            data = rng.randbytes(size)
            await peer.send(data, rng.randrange(3))
            assert await exchange(stream, data + NASTY) == data + NASTY
            assert await asyncio.wait_for(peer.recv(), 60) == data
        await stream.close()
        await peer.close()
        assert not modem._sockets

    play(family, case, seed=seed, chatter=0.4)


@pytest.mark.parametrize("family", FAMILIES)
def test_datagrams_that_wait_in_the_modem_stay_apart(family: str) -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        peer = await modem.datagram("127.0.0.1", udp.port, 60_000)
        sent = [bytes([65 + i]) * (10 + i) for i in range(6)]
        for data in sent:
            await peer.send(data)
        await asyncio.sleep(20)
        assert [await peer.recv() for _ in sent] == sent
        await peer.close()

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_came_before_the_peer_closed_is_fetched_before_the_end_is_told(family: str) -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        socket = await modem.connect("127.0.0.1", tcp.port, 60_000)
        await socket.send(b"?")
        await tcp.connected.wait()
        tcp.writers[0].write(bytes(3000))
        tcp.writers[0].close()
        got = b""
        while part := await asyncio.wait_for(socket.recv(1000), 60):
            got += part
        assert got.count(b"\x00") == 3000
        await socket.close()

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_numbers_left_open_by_the_life_before_are_found_and_freed(family: str) -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        for _ in range(len(modem.SOCKET_IDS)):
            await modem.connect("127.0.0.1", tcp.port, 60_000)
        modem.at.stop()  # the host restarts, the modem does not
        reborn = open_modem(family, bench)
        await reborn.wake()
        await reborn.attach("iot.example", 180_000)
        peer = await reborn.datagram("127.0.0.1", udp.port, 60_000)
        socket = await reborn.connect("127.0.0.1", tcp.port, 60_000)
        assert await exchange(socket, b"new") == b"new"
        await peer.send(b"too")
        assert await asyncio.wait_for(peer.recv(), 60) == b"too"
        reborn.at.stop()

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_name_is_asked_for_once_and_an_unknown_one_says_why(family: str) -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        for _ in range(3):
            assert await modem.resolve("fleet.example", 60_000) == "127.0.0.1"
        asked = [line for line in bench.twin.log if "QDNS" in line or "CDNSGIP" in line]
        assert len(asked) == 1
        with pytest.raises(SocketError):
            await modem.resolve("nobody.example", 60_000)

    play(family, case)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_full_send_buffer_delays_a_stream_and_loses_a_datagram(family: str) -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        socket = await modem.connect("127.0.0.1", tcp.port, 60_000)
        bench.twin.family.full_sends = 3
        assert await exchange(socket, b"after three") == b"after three"
        bench.twin.family.full_sends = 1000
        with pytest.raises(SocketError):
            await socket.send(b"never")
        bench.twin.family.full_sends = 0
        await socket.close()

    play(family, case)


def test_bc95_a_datagram_of_a_stranger_is_not_the_peers() -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        peer = await modem.datagram("127.0.0.1", udp.port, 60_000)
        await peer.send(b"hello")
        assert await asyncio.wait_for(peer.recv(), 60) == b"hello"
        address = udp.peers[0]
        async with UdpEcho() as stranger:
            stranger.transport.sendto(b"forged" * 60, address)
            udp.transport.sendto(b"true" * 100, address)
            assert await asyncio.wait_for(peer.recv(), 60) == b"true" * 100
        await peer.close()

    play("bc95", case)


def test_bc95_takes_pushed_data_when_an_earlier_life_left_nsonmi_at_2_or_3() -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        for mode in (2, 3):
            await modem.at.command(f"AT+NSONMI={mode}", 1000)
            socket = await modem.connect("127.0.0.1", tcp.port, 60_000)
            assert await exchange(socket, NASTY) == NASTY
            await socket.close()

    play("bc95", case)


def test_bc95_the_banner_after_a_restart_ends_what_runs_and_answers_nothing() -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        socket = await modem.connect("127.0.0.1", tcp.port, 60_000)
        before = bench.loop.time()
        bench.twin.restart()
        with pytest.raises((SocketError, AtTimeout)):
            await socket.send(b"x" * 100)
        assert bench.loop.time() - before < 10
        await modem.wake()
        assert (await modem.identity())["imei"] == bench.twin.family.imei

    play("bc95", case)


def test_bc95_sends_the_release_flags_of_its_manual() -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        peer = await modem.datagram("127.0.0.1", udp.port, 60_000)
        for release in (0, 1, 2):
            await peer.send(b"\x01", release)
        port = udp.port
        assert [line for line in bench.twin.log if "NSOST" in line] == [
            f"AT+NSOST=0,127.0.0.1,{port},1,01",
            f"AT+NSOSTF=0,127.0.0.1,{port},0x200,1,01",
            f"AT+NSOSTF=0,127.0.0.1,{port},0x400,1,01",
        ]
        await peer.close()

    play("bc95", case)


@pytest.mark.parametrize("seed", range(6))
def test_sim7080_a_missing_prompt_after_sleep_costs_time_and_nothing_else(seed: int) -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        await modem.sleep()
        await asyncio.sleep(600)
        await modem.wake()
        await modem.attach("iot.example", 180_000)
        socket = await modem.connect("127.0.0.1", tcp.port, 60_000)
        assert await exchange(socket, b"first") == b"first"
        assert await exchange(socket, b"second") == b"second"
        await socket.close()

    play("sim7080", case, seed=seed, pins=("dtr",))


def test_sim7080_psm_ends_by_the_power_key() -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        assert await modem.power_saving(36_000, 10) is not None
        await modem.sleep()
        modem._pins["dtr"].value(0)
        await asyncio.sleep(3600)
        before = bench.loop.time()
        attaches = bench.twin.network.attaches
        await modem.wake()
        await modem.attach("iot.example", 180_000)
        assert bench.loop.time() - before < 20
        assert bench.twin.network.attaches == attaches  # it stayed registered
        peer = await modem.datagram("127.0.0.1", udp.port, 60_000)
        await peer.send(b"awake", 2)
        assert await asyncio.wait_for(peer.recv(), 60) == b"awake"
        await peer.close()

    play("sim7080", case, pins=("dtr", "pwrkey"))


@pytest.mark.parametrize(
    "reply",
    [b"\r\n+CARECV: 7,he\r\nllo\r\n\r\nOK\r\n", b"\r\n+CARECV: 0,7,he\r\nllo\r\n\r\nOK\r\n"],
)
def test_sim7080_takes_what_modules_say_and_what_the_manual_says(reply: bytes) -> None:
    async def main() -> None:
        answers = [reply, b"\r\n+CARECV: 0\r\n\r\nOK\r\n"]
        stream = Scripted(lambda data: answers.pop(0))
        modem = Sim7080(stream)
        socket = Collector()
        modem._sockets[0] = socket
        await modem._pull(0)
        assert socket.got == [b"he\r\nllo"]
        modem.at.stop()

    jumping(main)


@pytest.mark.parametrize("cause", [3, 11, 15])
def test_a7670_tells_the_cause_of_a_refusal_by_ceer(cause: int) -> None:
    async def case(modem: Any, bench: Bench, tcp: Echo, udp: UdpEcho) -> None:
        bench.twin.network.refuse(cause)
        bench.twin.restart()
        await modem.wake()
        with pytest.raises(AttachRefused) as caught:
            await modem.attach("iot.example", 60_000)
        assert caught.value.cause == cause
        bench.twin.network.refuse(None)
        await modem.attach("iot.example", 180_000)

    play("a7670", case)


class Collector:
    """What a driver hands to a socket."""

    def __init__(self) -> None:
        self.got: list[bytes | None] = []

    def on_data(self, data: bytes | None) -> None:
        self.got.append(None if data is None else bytes(data))


@pytest.mark.parametrize(
    "text",
    [
        "Signal power:-876",
        '"Signal power",-876',
        "NUESTATS:RADIO,Signal power:-876",
        "+NUESTATS: Signal power:-876",
    ],
)
def test_bc95_reads_statistics_of_every_firmware(text: str) -> None:
    async def main() -> None:
        reply = f"\r\n{text}\r\nSNR:182\r\nECL:255\r\nPCI:x\r\n\r\nOK\r\n".encode()
        modem = open_modem("bc95", Scripted(lambda data: reply))
        signal = await modem.signal()
        assert (signal["rsrp_dbm"], signal["snr_ddb"], signal["pci"]) == (-88, 182, None)
        assert signal["ecl"] is None
        modem.at.stop()

    jumping(main)
