"""The socket commands that Quectel's families share: QIOPEN, QISEND, QICLOSE and the QIURC."""

import asyncio

from micropython import const

from node.errors import AtError, SocketError
from node.link import replies
from node.link.modem import Modem

_OPEN_MS = const(75_000)  # drivers in the field give QIOPEN 60-75 s; its worst case is 150 s
_CLOSE_MS = const(10_000)  # TCP/IP application notes
_SEND_MS = const(10_000)  # prompt and SEND OK together; the notes give no number
_DNS_MS = const(60_000)  # TCP/IP application notes: QIDNSGIP
_FULL_TRIES = const(20)  # SEND FAIL: the modem's send buffer is full
_FULL_MS = const(500)
_ID_IN_USE = const(563)
_CLOSE_TRIES = const(3)
_CLOSED_MS = const(500)


def payload_length(header: str) -> "int | None":
    """Of `+QIURC: "recv",<id>,<length>`."""
    values = replies.fields(header)
    return replies.whole(values[2]) if len(values) == 3 else None


class Quectel(Modem):
    """A family sets these and the hooks of Modem."""

    CONTEXT = 1  # PDP context that sockets are opened in
    RECV_COMMAS = 0  # 0: received data follows the URC's line; 3: it stands behind the third comma

    def __init__(self, uart, pins=None) -> None:
        super().__init__(uart, pins)
        self.at.on_urc('+QIURC: "recv",', self._on_recv, payload_length, self.RECV_COMMAS)
        self.at.on_urc('+QIURC: "closed",', self._on_closed)
        self.at.on_urc('+QIURC: "pdpdeact"', self._on_deactivated)

    async def transmit(self, number: int, part: bytes) -> None:
        """One QISEND in data mode; a full send buffer is waited for, at most 10 s."""
        await self._send("AT+QISEND=%d,%d" % (number, len(part)), part)

    async def release(self, number: int) -> None:
        """QICLOSE, needed after a failed QIOPEN and after the peer closed as well."""
        await self.at.command("AT+QICLOSE=%d" % number, _CLOSE_MS)

    async def _open(self, number: int, host: str, port: int, kind: str = "TCP") -> None:
        text = 'AT+QIOPEN=%d,%d,"%s","%s",%d,0,1' % (self.CONTEXT, number, kind, host, port)
        result = await self._result(text, number)
        tries = 0
        while result == _ID_IN_USE and tries < _CLOSE_TRIES:
            # Left open by the life before: the modem stays on through our deep sleep. BC660K says
            # CLOSE OK some time behind OK.
            tries += 1
            await self.release(number)
            await asyncio.sleep_ms(_CLOSED_MS)
            result = await self._result(text, number)
        if result:
            try:
                await self.release(number)
            except AtError:
                pass
            raise SocketError("%s:%d: QIOPEN result %d" % (host, port, result), result)

    def _open_udp(self, number: int, host: str, port: int):
        return self._open(number, host, port, "UDP")

    def _send_udp(self, number: int, host: str, port: int, data, release: int):
        return self.transmit(number, data)

    def _resolve(self, host: str):
        from node.link import dns

        # BC660K answers by +QIDNSGIP:, the others by a QIURC.
        text = 'AT+QIDNSGIP=%d,"%s"' % (self.CONTEXT, host)
        return dns.ask(self.at, text, ("+QIDNSGIP:", '+QIURC: "dnsgip",'), _DNS_MS)

    async def _send(self, text: str, data) -> None:
        for _ in range(_FULL_TRIES):
            try:
                lines = await self.at.command(
                    text, _SEND_MS, until=("SEND OK", "SEND FAIL"), data=data
                )
            except AtError as e:
                raise SocketError("QISEND: error %d" % e.cause, e.cause)
            if lines[-1] == "SEND OK":
                return
            await asyncio.sleep_ms(_FULL_MS)
        raise SocketError("the modem's send buffer stays full")

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
