"""A modem twin and raw AT lines in jumping time, and a UDP peer for them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from modem_bench import Bench, jumping

from hil.virtual.modem import ModemTwin, State

OK = b"\r\nOK\r\n"
ERROR = b"\r\nERROR\r\n"
NASTY = b"\r\nOK\r\n> \x1a\x1b\x00\xff+NSONMI:0,9\r\nERROR\r\n+CADATAIND: 0\r\n+IPCLOSE: 0,1\r\n"
Case = Callable[[Bench], Awaitable[None]]


def play(family: str, case: Case, *, seed: int = 1, **options: Any) -> None:
    """A twin that has just got power; without chatter, and attached soon."""

    async def main() -> None:
        given = {"chatter": 0.0, "attach_delay_s": (1, 1), **options}
        bench = Bench(ModemTwin(family, seed=seed, **given))
        bench.twin.power_on()
        await case(bench)
        bench.twin.power_off()
        assert bench.sockets == 0

    jumping(main)


async def ask(bench: Bench, line: str, mark: bytes = OK, seconds: float = 60) -> bytes:
    """What came up to the end of `mark` after a command line."""
    bench.write(line.encode() + b"\r")
    return await bench.until(mark, seconds)


async def booted(bench: Bench) -> None:
    """Past the boot noise, without echo."""
    await bench.until(bench.twin.family.greeting()[-1])
    await ask(bench, "ATE0")


async def registered(bench: Bench) -> None:
    """On the network, and everything that it said of it is forgotten."""
    for _ in range(240):
        if bench.twin.network.registered:
            break
        await asyncio.sleep(0.5)
    assert bench.twin.network.registered
    await asyncio.sleep(1)
    bench.heard.clear()


async def attached(bench: Bench) -> None:
    """Both."""
    await booted(bench)
    await registered(bench)


async def exactly(bench: Bench, count: int) -> bytes:
    """The next `count` bytes."""
    for _ in range(6000):
        if len(bench.heard) >= count:
            break
        await asyncio.sleep(0.01)
    data = bytes(bench.heard[:count])
    del bench.heard[:count]
    assert len(data) == count
    return data


def asleep(bench: Bench) -> bool:
    """Whether the modem sleeps."""
    return bench.twin.state is State.ASLEEP


async def silence(bench: Bench, seconds: float) -> None:
    """Nothing comes for so long."""
    bench.heard.clear()
    await asyncio.sleep(seconds)
    assert not bench.heard


class UdpEcho(asyncio.DatagramProtocol):
    """A loopback UDP server that returns what it gets."""

    async def __aenter__(self) -> "UdpEcho":
        self.got: list[bytes] = []
        self.peers: list[Any] = []
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.port: int = self.transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.transport.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """As asyncio's."""
        self.got.append(data)
        self.peers.append(addr)
        self.answer(data, addr)

    def answer(self, data: bytes, addr: Any) -> None:
        """Return it."""
        self.transport.sendto(data, addr)


class UdpSink(UdpEcho):
    """As UdpEcho, but it never answers."""

    def answer(self, data: bytes, addr: Any) -> None:
        """Nothing."""
