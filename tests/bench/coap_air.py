"""The air between a node and the fleet: a real UDP socket whose datagrams are lost, come twice,
come late, and leave by another port when the operator's NAT forgets the node.
"""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.coap_board import Power

# Seconds, of a campaign in which everything takes a hundredth of its time on NB-IoT.
SOON_S = (0.001, 0.01)
LATE_S = (0.05, 0.5)  # behind its repeats, and behind what the next wake sends
OLD_PORT_S = 1.0  # what left by the old port may still be on its way
PATIENT_BYTES = 4096


@dataclass(frozen=True)
class Weather:
    """Probabilities, of each datagram in each direction."""

    loss: float = 0.3
    duplication: float = 0.1
    late: float = 0.15
    rebinding: float = 0.05  # of a datagram sent: the NAT changes the port behind it
    asleep: float = 0.5  # of a wake: it did so while the node slept


class Air:
    """A node's way to the fleet at `server`, from `address`. `heard` is told each answer's bytes
    as the fleet sent them, whatever becomes of them then.
    """

    MAX_DATAGRAM = 1358
    RELEASE = True

    def __init__(
        self,
        server: tuple[str, int],
        address: str,
        weather: Weather,
        seed: int,
        heard: Callable[[bytes], None],
    ) -> None:
        self.power = Power()
        self.counts: Counter[str] = Counter()
        self._server = server
        self._address = address
        self._weather = weather
        self._random = random.Random(seed)
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._port: socket.socket | None = None
        self._open: Datagram | None = None

    async def datagram(self, _host: str, _port: int, _deadline_ms: int) -> "Datagram":
        """As Modem.datagram."""
        if self._port is None or self._random.random() < self._weather.asleep:
            self._rebind()
        self._open = Datagram(self)
        return self._open

    def transmit(self, data: bytes) -> None:
        """A datagram of the node's."""
        self.counts["sent"] += 1
        port = self._port
        assert port is not None
        for delay in self._fates():
            self._loop.call_later(delay, self._leave, port, data)
        if self._random.random() < self._weather.rebinding:
            self._loop.call_later(self._random.uniform(0, LATE_S[0]), self._rebind)

    def end(self, datagram: "Datagram") -> None:
        """The node has closed its socket; the NAT knows nothing of it."""
        if self._open is datagram:
            self._open = None

    def close(self) -> None:
        """The campaign is over."""
        if self._port is not None:
            self._loop.remove_reader(self._port)
            self._port.close()
            self._port = None

    def _fates(self) -> list[float]:
        """The delay of each copy that arrives."""
        weather, draw = self._weather, self._random.random
        if draw() < weather.loss:
            self.counts["lost"] += 1
            return []
        copies = 1
        if draw() < weather.duplication:
            self.counts["doubled"] += 1
            copies = 2
        return [self._delay() for _ in range(copies)]

    def _delay(self) -> float:
        if self._random.random() < self._weather.late:
            self.counts["late"] += 1
            return self._random.uniform(*LATE_S)
        return self._random.uniform(*SOON_S)

    def _rebind(self) -> None:
        old, self._port = self._port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._port.setblocking(False)
        self._port.bind((self._address, 0))
        self._loop.add_reader(self._port, self._arrive, self._port)
        if old is not None:
            self.counts["rebound"] += 1
            self._loop.remove_reader(old)
            self._loop.call_later(OLD_PORT_S, old.close)

    def _leave(self, port: socket.socket, data: bytes) -> None:
        if port.fileno() >= 0:
            try:
                port.sendto(data, self._server)
            except OSError:  # a full buffer: lost like others
                self.counts["not sent"] += 1

    def _arrive(self, port: socket.socket) -> None:
        while True:
            try:
                data, source = port.recvfrom(PATIENT_BYTES)
            except OSError:
                return
            if source != self._server:
                continue
            self._heard(data)
            for delay in self._fates():
                self._loop.call_later(delay, self._deliver, port, data)

    def _deliver(self, port: socket.socket, data: bytes) -> None:
        if self._open is not None and port is self._port:
            self._open.on_data(data)


class Datagram:
    """As node.link.datagram.Datagram, over an Air."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._held: list[bytes] = []
        self._changed = asyncio.Event()

    async def send(self, data: bytes, _release: int = 0) -> None:
        """One datagram, which may arrive."""
        self._air.power.pass_one()
        self._air.transmit(bytes(data))
        self._air.power.pass_one()
        await asyncio.sleep(0)

    async def recv(self) -> bytes:
        """The oldest that nobody has read."""
        while not self._held:
            self._changed.clear()
            await self._changed.wait()
        return self._held.pop(0)

    def on_data(self, data: bytes) -> None:
        """One has come."""
        self._held.append(data)
        self._changed.set()

    async def close(self) -> None:
        """As Datagram's."""
        self._air.end(self)
