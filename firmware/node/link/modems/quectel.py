"""The TCP commands that Quectel's families share: QIOPEN, QISEND, QICLOSE and the QIURC."""

import asyncio

from micropython import const

from node.errors import AtError, SocketError
from node.link import replies
from node.link.modem import SHORT_MS, Modem

_OPEN_MS = const(75_000)  # drivers in the field give QIOPEN 60-75 s; its worst case is 150 s
_CLOSE_MS = const(10_000)
_SEND_MS = const(10_000)
_FULL_TRIES = const(20)  # SEND FAIL: the modem's send buffer is full
_FULL_MS = const(500)
_ID_IN_USE = const(563)


def _payload(header: str) -> "int | None":
    # `+QIURC: "recv",<id>,<length>`
    values = replies.fields(header)
    return replies.whole(values[2]) if len(values) == 3 else None


class Quectel(Modem):
    """A family sets these and the hooks of Modem."""

    CONTEXT = 1  # PDP context that sockets are opened in
    RECV_COMMAS = 0  # 0: received data follows the URC's line; 3: it stands behind the third comma

    def __init__(self, uart, pins=None) -> None:
        super().__init__(uart, pins)
        self.at.on_urc('+QIURC: "recv",', self._on_recv, _payload, self.RECV_COMMAS)
        self.at.on_urc('+QIURC: "closed",', self._on_closed)
        self.at.on_urc('+QIURC: "pdpdeact"', self._on_deactivated)

    async def transmit(self, number: int, part: bytes) -> None:
        """One QISEND in data mode; a full send buffer is waited for, at most 10 s."""
        text = "AT+QISEND=%d,%d" % (number, len(part))
        for _ in range(_FULL_TRIES):
            try:
                lines = await self.at.command(
                    text, _SEND_MS, until=("SEND OK", "SEND FAIL"), data=part
                )
            except AtError as e:
                raise SocketError("QISEND: error %d" % e.cause, e.cause)
            if lines[-1] == "SEND OK":
                return
            await asyncio.sleep_ms(_FULL_MS)
        raise SocketError("the modem's send buffer stays full")

    async def release(self, number: int) -> None:
        """QICLOSE, needed after a failed QIOPEN and after the peer closed as well."""
        await self.at.command("AT+QICLOSE=%d" % number, _CLOSE_MS)

    async def _open(self, number: int, host: str, port: int) -> None:
        text = 'AT+QIOPEN=%d,%d,"TCP","%s",%d,0,1' % (self.CONTEXT, number, host, port)
        result = await self._result(text, number)
        if result == _ID_IN_USE:
            # Left open by the life before: the modem stays on through our deep sleep.
            await self.release(number)
            result = await self._result(text, number)
        if result:
            try:
                await self.release(number)
            except AtError:
                pass
            raise SocketError("%s:%d: QIOPEN result %d" % (host, port, result), result)

    async def _result(self, text: str, number: int) -> int:
        prefix = "+QIOPEN: %d," % number
        try:
            lines = await self.at.command(text, _OPEN_MS, until=(prefix,))
        except AtError as e:
            return e.cause or -1
        result = replies.whole(lines[-1][len(prefix) :])
        return -1 if result is None else result

    def _socket(self, line: str):
        values = replies.fields(line)
        return self._sockets.get(replies.whole(values[1])) if len(values) > 1 else None

    def _on_recv(self, line: str, payload) -> None:
        socket = self._socket(line)
        if socket is not None:
            socket.on_data(payload)

    def _on_closed(self, line: str, payload) -> None:
        socket = self._socket(line)
        if socket is not None:
            socket.on_close()

    def _on_deactivated(self, line: str, payload) -> None:
        self.lose_sockets("the network took the PDP context away")

    async def _flag(self, command: str, prefix: str) -> "int | None":
        # The first number of a query's answer.
        return replies.whole(replies.fields(await self.line(command, prefix))[0])

    async def _quietly(self, command: str) -> None:
        # For settings that not every firmware of the family knows.
        try:
            await self.at.command(command, SHORT_MS)
        except AtError:
            pass
