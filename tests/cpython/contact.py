"""One contact of a firmware driver with a fleet over a modem twin, as a node's session makes it.

In the virtual time of modem_bench's JumpLoop. What stands for the fleet answers each report by its
first four bytes, over TCP and over UDP.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Any

import chip_asyncio  # noqa: F401 - the driver needs MicroPython's names
from modem_bench import Bench
from node.errors import DeliverTimeout, NodeError
from node.link.modems import open_modem

from hil.virtual.modem import ModemTwin

RECEIPT_MS = 40_000
CLOSE_S = 12.0
ATTACH_MS = 180_000
OPEN_MS = 75_000


class Pin:
    """An output of the board, wired to the twin's input of that name."""

    def __init__(self, twin: ModemTwin, name: str) -> None:
        self._twin = twin
        self._name = name

    def value(self, level: int) -> None:
        """Drive it."""
        self._twin.pin(self._name, level)


class State(dict[str, Any]):
    """What a node keeps between two wakes; it has RtcState's names."""

    def set(self, key: str, value: object) -> None:
        """Keep it."""
        self[key] = value


class Fleet(asyncio.DatagramProtocol):
    """`got`: reports by their first four bytes, with how often each came whole."""

    def __init__(self, size: int, answers: bool = True) -> None:
        self._size = size
        self._answers = answers  # over UDP
        self.got: dict[bytes, int] = {}
        self.port = 0

    async def __aenter__(self) -> "Fleet":
        loop = asyncio.get_running_loop()
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.udp_port: int = self._udp.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._udp.abort()

    def _take(self, report: bytes) -> bytes:
        self.got[report[:4]] = self.got.get(report[:4], 0) + 1
        return report[:4]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                writer.write(self._take(await reader.readexactly(self._size)))
        writer.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As DatagramProtocol."""

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """As DatagramProtocol: a report, and its receipt goes back."""
        if len(data) == self._size:
            receipt = self._take(data)
            if self._answers:
                self._udp.sendto(receipt, addr)


async def deliver(modem: Any, port: int, report: bytes) -> None:
    """Send over TCP and wait for the receipt; NodeError says why not."""
    socket = await modem.connect("localhost", port, OPEN_MS)
    try:
        await socket.send(report)
        got = b""
        while len(got) < 4:
            part = await asyncio.wait_for(socket.recv(4), RECEIPT_MS / 1000)
            if not part:
                raise DeliverTimeout("closed before the receipt")
            got += part
    except TimeoutError:
        raise DeliverTimeout("no receipt") from None
    finally:
        await socket.close()


async def contact(
    bench: Bench, modem: Any, state: State, port: int, report: bytes, cap_s: float
) -> NodeError | None:
    """Wake, attach, deliver, sleep: None when the receipt came, else the error. Within `cap_s`."""

    async def work() -> None:
        await modem.wake(state)
        await modem.attach("", ATTACH_MS)
        await deliver(modem, port, report)

    error: NodeError | None = None
    try:
        await asyncio.wait_for(work(), cap_s - CLOSE_S)
    except TimeoutError:
        error = DeliverTimeout("the wake's cap")
    except NodeError as e:
        error = e
    try:
        await asyncio.wait_for(modem.sleep(), CLOSE_S)
    except (TimeoutError, NodeError):
        modem.at.stop()
    return error


def driver(family: str, bench: Bench, pins: tuple[str, ...] = ()) -> Any:
    """The firmware's driver on the bench, with these pins wired."""
    return open_modem(family, bench, {name: Pin(bench.twin, name) for name in pins})
