"""The TCP/IP commands that Quectel's families share, and what a subclass may form differently.

Grammar: BC660K-GL and EC2x/EG9x TCP/IP Application Notes.
"""

import ipaddress
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from hil.virtual.modem.bridge import Unresolved
from hil.virtual.modem.family import CommandError, Prompt, Reply, command
from hil.virtual.modem.grammar import Command, GrammarError, Op
from hil.virtual.modem.packet import PacketDomain

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

# Result codes of the TCP/IP Application Note.
WRONG_PARAMETER = 552
NOT_SUPPORTED = 555
PDP_FAILED = 561
ID_IN_USE = 563
DNS_FAILED = 565
CONNECT_FAILED = 566
NOT_ALLOWED = 572
PUSH_MODE = 1
HOST_MOST = 150
TCP, UDP, UDP_SERVICE = "TCP", "UDP", "UDP SERVICE"
Source = tuple[str, int]


class Quectel(PacketDomain):
    """QIOPEN, QISEND, QICLOSE, QIDNSGIP and their URCs."""

    inline_sends = False  # QISEND=<id>,<length>,"data"[,<rai>]

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.hex_sends = False
        self.hex_receives = False
        self._services: set[int] = set()  # sockets without a peer

    # -- what differs between the families ------------------------------------------------------

    def received(self, number: int, length: int, text: bytes, source: Source | None) -> bytes:
        """The URC that brings `length` bytes as `text`; `source` for a datagram of a service."""
        raise NotImplementedError

    def took(self) -> tuple[str, ...]:
        """The lines that close a send that the modem's stack took."""
        return ("SEND OK",)

    def resolved(self, address: str | None) -> None:
        """The URCs that answer QIDNSGIP."""
        raise NotImplementedError

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.hex_sends = self.hex_receives = False
        self._services.clear()

    # -- commands -------------------------------------------------------------------------------

    def _number(self, command: Command, index: int) -> int:
        return command.number(index, 0, self.table.socket_ids - 1)

    @command("+QICFG", Op.SET)
    def _configure(self, command: Command) -> Reply:
        if command.text(0).lower() == "dataformat" and len(command.args) > 1:
            self.hex_sends = command.number(1, 0, 1) == 1
            self.hex_receives = command.number(2, 0, 1, 0) == 1
        return Reply()

    @command("+QIOPEN", Op.SET)
    def _open(self, command: Command) -> Reply:
        context = command.number(0, 0, 16)
        number = self._number(command, 1)
        kind = command.string(2).upper()
        if kind not in (TCP, UDP, UDP_SERVICE) or command.number(6, 0, 2, 0) != PUSH_MODE:
            raise CommandError(NOT_SUPPORTED)
        host = command.text(3)
        if len(host) > HOST_MOST:
            raise CommandError(WRONG_PARAMETER)
        port = command.number(4, 0 if kind == UDP_SERVICE else 1, 65535)
        return Reply(then=lambda: self._connect(context, number, kind, host, port))

    def _connect(self, context: int, number: int, kind: str, host: str, port: int) -> None:
        bridge = self.modem.bridge
        if bridge.get(number) is not None:
            self._result(number, ID_IN_USE)
        elif context != self.table.context or not self.context_active():
            bridge.occupy(number, host, port)
            self._result(number, PDP_FAILED)
        elif kind == UDP_SERVICE:
            self._services.add(number)
            bridge.bind(number)
            self._result(number, 0)
        else:
            self._services.discard(number)
            try:
                bridge.open(
                    number,
                    host,
                    port,
                    self.table.recv_most,
                    lambda ok: self._result(number, 0 if ok else CONNECT_FAILED),
                    udp=kind == UDP,
                )
            except Unresolved:
                bridge.occupy(number, host, port)
                self._result(number, DNS_FAILED)

    def _result(self, number: int, code: int) -> None:
        self.modem.urc(f"+QIOPEN: {number},{code}")

    @command("+QISEND", Op.SET)
    def _send(self, command: Command) -> Reply | Prompt:
        number = self._number(command, 0)
        connection = self.modem.bridge.get(number)
        if connection is None or not connection.open:
            raise CommandError(NOT_ALLOWED)
        if number in self._services:
            return self._send_to(command, number)
        length = command.number(1, 0, self.table.send_most)
        if not length:
            return Reply((f"+QISEND: {connection.up},{connection.up},0",))
        if command.has(2) and not self.inline_sends:
            raise CommandError(NOT_SUPPORTED)
        release = command.number(3, 0, 2, 0)
        if not command.has(2):
            return self._ask(length, lambda data: self.send(number, data, release))
        data = self._plain(command.text(2).encode())
        if data is None or len(data) != length:
            raise CommandError(WRONG_PARAMETER)
        return Reply(final="", then=lambda: self._take(self.send(number, data, release)))

    def _ask(self, length: int, send: Callable[[bytes], bool]) -> Prompt:
        def take(text: bytes) -> None:
            data = self._plain(text)
            self._take(data is not None and send(data))

        return Prompt(2 * length if self.hex_sends else length, take)

    def _plain(self, text: bytes) -> bytes | None:
        # What is meant by data as the host gives them; None for wrong hex.
        if not self.hex_sends:
            return text
        try:
            return bytes.fromhex(text.decode())
        except ValueError:
            return None

    def _send_to(self, command: Command, number: int) -> Prompt:
        # A service names the peer with each send: BC660K before the length, EC2x behind it.
        first = 1 if command.has(1) and not command.text(1).isdigit() else 2
        length = command.number(3 if first == 1 else 1, 1, self.table.send_most)
        host, port = command.text(first), command.number(first + 1, 1, 65535)
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise GrammarError("+QISEND: no address") from None
        return self._ask(length, lambda data: self.send_to(number, host, port, data))

    def _take(self, taken: bool) -> None:
        for line in self.took() if taken else ("SEND FAIL",):
            self.modem.answer(line)

    @command("+QICLOSE", Op.SET)
    def _close(self, command: Command) -> Reply:
        self.modem.bridge.close(self._number(command, 0))
        return Reply()

    @command("+QIDNSGIP", Op.SET)
    def _resolve(self, command: Command) -> Reply:
        context, host = command.number(0, 0, 16), command.text(1)
        if len(host) > HOST_MOST:
            raise CommandError(WRONG_PARAMETER)
        if context != self.table.context or not self.context_active():
            raise CommandError(PDP_FAILED)
        return Reply(then=lambda: self.modem.bridge.lookup(host, self.resolved))

    @command("+QCCID", Op.EXECUTE)
    def _card(self, _: Command) -> Reply:
        self.card()
        return Reply((f"+QCCID: {self.iccid}",))

    # -- events ---------------------------------------------------------------------------------

    def on_data(self, number: int, data: bytes) -> None:
        """As Family.on_data."""
        self._bring(number, data, None)

    def on_datagram(self, number: int, host: str, port: int, data: bytes) -> None:
        """As Family.on_datagram; only a service is told who sent it."""
        self._bring(number, data, (host, port) if number in self._services else None)

    def _bring(self, number: int, data: bytes, source: Source | None) -> None:
        text = data.hex().upper().encode() if self.hex_receives else data
        self.modem.transmit(self.received(number, len(data), text, source))

    def on_closed(self, number: int) -> None:
        """As Family.on_closed."""
        self.modem.urc(f'+QIURC: "closed",{number}')
