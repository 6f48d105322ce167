"""A driver on top of the naive parser, by what a quiet bench suggests: each trap catches it.

It works on an awake BC660K next to the antenna. It takes wishes for grants, OK for done, the modem
for awake, a socket for lasting, and every datagram for the answer to its newest.
"""

import asyncio
import time
from typing import Any

import naive_parser
from node.errors import AtError, AtTimeout
from node.link.registration import AttachTimeout
from node.link.timers import encode_t3324, encode_t3412

ATTACH_TRIES = 5  # of 2 s
OPEN_S = 5  # until QIOPEN will have done it
ALIVE_S = 8


class NaiveSocket:
    """One connectID."""

    def __init__(self, modem: "NaiveModem", number: int) -> None:
        self._modem = modem
        self.number = number
        self.got: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, data: bytes, release: int = 0) -> None:
        """QISEND."""
        await self._modem.at.command(f"AT+QISEND={self.number},{len(data)}", 10_000, data=data)

    async def recv(self, n: int = 0) -> bytes:
        """What the next URC brought."""
        return await self.got.get()

    async def close(self) -> None:
        """QICLOSE."""
        await self._modem.at.command(f"AT+QICLOSE={self.number}", 10_000)


class NaiveModem:
    """As node.link.modem.Modem from outside, for BC660K."""

    engine = naive_parser.PromptAt
    context = 0

    def __init__(self, uart: Any) -> None:
        self.at: Any = self.engine(uart)
        self._sockets: dict[int, NaiveSocket] = {}
        self._keeper: asyncio.Task[None] | None = None
        self.at.on_urc('+QIURC: "recv",', self._on_recv)

    async def wake(self) -> None:
        """Its first line says that it is up."""
        await self.at.first_line()

    async def model(self) -> str:
        """The first line that comes behind the echo."""
        lines = await self.at.command("AT+CGMM", 5_000)
        return next(line for line in lines if not line.startswith("AT"))

    async def attach(self, apn: str, deadline_ms: int) -> None:
        """It takes a moment."""
        await self.at.command("ATE0", 5_000)
        for _ in range(ATTACH_TRIES):
            lines = await self.at.command("AT+CEREG?", 5_000, expect="+CEREG:")
            if naive_parser.stat(lines[0]) in (1, 5):
                return
            await asyncio.sleep(2)
        raise AttachTimeout(f"not attached in {ATTACH_TRIES * 2} s")

    async def network_time(self) -> int:
        """What CCLK says."""
        line = (await self.at.command("AT+CCLK?", 5_000, expect="+CCLK:"))[0]
        text = line.split(": ")[1].strip('"')[:17]
        return int(time.mktime(time.strptime(text, "%y/%m/%d,%H:%M:%S")))

    async def power_saving(self, tau_s: int, active_s: int) -> tuple[int, int]:
        """OK, so it is granted."""
        tau, active = encode_t3412(tau_s), encode_t3324(active_s)
        await self.at.command(f'AT+CPSMS=1,,,"{tau}","{active}"', 5_000)
        return tau_s, active_s

    async def connect(self, host: str, port: int, deadline_ms: int) -> NaiveSocket:
        """QIOPEN, and some time."""
        return await self._open("TCP", host, port)

    async def datagram(self, host: str, port: int, deadline_ms: int) -> NaiveSocket:
        """QIOPEN for UDP."""
        return await self._open("UDP", host, port)

    async def _open(self, kind: str, host: str, port: int) -> NaiveSocket:
        number = len(self._sockets)
        self._sockets[number] = socket = NaiveSocket(self, number)
        await self.at.command(
            f'AT+QIOPEN={self.context},{number},"{kind}","{host}",{port},0,1', 75_000
        )
        await asyncio.sleep(OPEN_S)
        return socket

    async def sleep(self) -> None:
        """PSM is granted: it will sleep by itself, the sockets stay, and so does the modem."""
        await self.at.command("AT+QSCLK=1", 5_000)

    def _on_recv(self, line: str, payload: object) -> None:
        _, number, _, text = line.split(",", 3)
        self._sockets[int(number)].got.put_nowait(text.encode("latin-1"))


class NaiveEc200(NaiveModem):
    """The same for EC200; it reads no data."""

    context = 1

    async def attach(self, apn: str, deadline_ms: int) -> None:
        """And the context."""
        await super().attach(apn, deadline_ms)
        await self.at.command("AT+QIACT=1", 150_000)


class KeepingNaiveModem(NaiveModem):
    """Keeps its connection alive, so that the modem can be reached in its sleep."""

    async def sleep(self) -> None:
        """As NaiveModem, with a byte now and then."""
        await super().sleep()
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            for socket in self._sockets.values():
                await socket.send(b".")
            await asyncio.sleep(ALIVE_S)


class WakingNaiveModem(NaiveModem):
    """Has heard of the swallowed AT."""

    async def wake(self) -> None:
        """AT until OK."""
        for _ in range(20):
            try:
                await self.at.command("AT", 1_000)
                return
            except (AtError, AtTimeout):
                pass
