"""SIMCom's CIP sockets: NETOPEN, CIPOPEN to CIPCLOSE, CIPRXGET, CDNSGIP.

Sources: A76XX Series AT Command Manual V1.09, chapter 15, and A7600 Series TCPIP Application Note.
"""

import random
from typing import TYPE_CHECKING

from hil.virtual.modem.bridge import Unresolved
from hil.virtual.modem.family import CommandError, Prompt, Reply, command
from hil.virtual.modem.grammar import Command, Op
from hil.virtual.modem.inbox import Inbox
from hil.virtual.modem.simcom import Simcom

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

# <err> of section 15.3.2, and <err_info> of 15.3.1.
OPENED, NETWORK_FAILURE, NOT_OPENED, WRONG, NOT_SUPPORTED, DNS_FAILED = 0, 1, 2, 3, 4, 11
ALREADY_OPEN, NOT_OPEN = "Network is already opened", "Network not opened"
NO_DATA = "No data"
CLOSED_BY_PEER = 1
DNS_ERROR = 10
READ_MOST, READ_HEX_MOST = 1500, 750


class CipSockets(Simcom):
    """Sockets need NETOPEN. Received data are pushed, or kept for CIPRXGET."""

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.network_open = False
        self.fetch = False
        self.by_datagram = False
        self._udp: set[int] = set()

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.network_open = self.fetch = self.by_datagram = False
        self._udp.clear()

    @command("+CIPCCFG", Op.SET)
    def _configure(self, command: Command) -> Reply:
        self.by_datagram = command.number(7, 0, 1, 0) == 1
        return Reply()

    # -- the socket service ---------------------------------------------------------------------

    @staticmethod
    def _ip_error(text: str) -> Reply:
        return Reply((f"+IP ERROR: {text}",), final="ERROR")

    @command("+NETOPEN", Op.EXECUTE)
    def _open_network(self, _: Command) -> Reply:
        if self.network_open:
            return self._ip_error(ALREADY_OPEN)
        self.network_open = self.context_active()
        result = 0 if self.network_open else NETWORK_FAILURE
        return Reply(then=lambda: self.urc("+NETOPEN", result))

    @command("+NETOPEN", Op.READ)
    def _network(self, _: Command) -> Reply:
        return Reply((self.line("+NETOPEN", int(self.network_open)),))

    @command("+NETCLOSE", Op.EXECUTE)
    def _close_network(self, _: Command) -> Reply:
        if not self.network_open:
            return Reply((self.line("+NETCLOSE", NOT_OPENED),), final="ERROR")
        return Reply(then=self._network_closed)

    def _network_closed(self) -> None:
        for number in sorted(self.inboxes):
            self.urc("+CIPCLOSE", number, 0)
        self._drop()
        self.urc("+NETCLOSE", 0)

    def _drop(self) -> None:
        self.network_open = False
        self.inboxes.clear()
        self._udp.clear()
        self.modem.bridge.drop()

    @command("+IPADDR", Op.EXECUTE)
    def _address(self, _: Command) -> Reply:
        if not self.network_open:
            return self._ip_error(NOT_OPEN)
        return Reply((self.line("+IPADDR", self.address),))

    def on_registration(self) -> None:
        """As Family.on_registration; without a network the socket service ends."""
        super().on_registration()
        if not self.modem.network.registered:
            self.on_deactivated()

    def on_deactivated(self) -> None:
        """As Family.on_deactivated."""
        if self.network_open:
            self._drop()
            self.modem.urc("+CIPEVENT: NETWORK CLOSED UNEXPECTEDLY")

    # -- sockets --------------------------------------------------------------------------------

    def _number(self, command: Command, index: int = 0) -> int:
        return command.number(index, 0, self.table.socket_ids - 1)

    @command("+CIPOPEN", Op.SET)
    def _open(self, command: Command) -> Reply:
        number, kind = self._number(command), command.text(1).upper()
        if not self.network_open:
            return Reply((self.line("+CIPOPEN", number, NOT_OPENED),), final="ERROR")
        if number in self.inboxes or kind not in ("TCP", "UDP"):
            return Reply((self.line("+CIPOPEN", number, NOT_SUPPORTED),), final="ERROR")
        if kind == "UDP":
            return self._open_udp(command, number)
        host, port = self.host(command, 2), command.number(3, 1, 65535)
        return Reply(then=lambda: self._connect(number, host, port))

    def _open_udp(self, command: Command, number: int) -> Reply:
        # The peer is named with each send; without a local port there is no socket.
        if not command.has(4):
            return Reply((self.line("+CIPOPEN", number, WRONG),), final="ERROR")
        command.number(4, 0, 65535)
        self.inboxes[number] = Inbox()
        self._udp.add(number)
        self.modem.bridge.bind(number)
        return Reply((self.line("+CIPOPEN", number, OPENED),))

    def _connect(self, number: int, host: str, port: int) -> None:
        self.inboxes[number] = Inbox()

        def done(connected: bool) -> None:
            self._opened(number, OPENED if connected else NETWORK_FAILURE)

        try:
            self.modem.bridge.open(number, host, port, self.table.recv_most, done)
        except Unresolved:
            self._opened(number, DNS_FAILED)

    def _opened(self, number: int, result: int) -> None:
        if result != OPENED:
            self.inboxes.pop(number, None)
            self.modem.bridge.close(number)
        self.urc("+CIPOPEN", number, result)

    @command("+CIPSEND", Op.SET)
    def _send(self, command: Command) -> Reply | Prompt:
        number = self._number(command)
        length = command.number(1, 1, self.table.send_most)
        connection = self.modem.bridge.get(number)
        if connection is None or not connection.open:
            code = NOT_SUPPORTED if self.network_open else NOT_OPENED
            return Reply((self.line("+CIPERROR", code),), final="ERROR")
        if number not in self._udp:
            return Prompt(length, lambda data: self._take(number, data, self.send(number, data)))
        host, port = self.host(command, 2), command.number(3, 1, 65535)
        return Prompt(
            length, lambda data: self._take(number, data, self.send_to(number, host, port, data))
        )

    def _take(self, number: int, data: bytes, taken: bool) -> None:
        self.finish()
        self.urc("+CIPSEND", number, len(data), len(data) if taken else 0)

    @command("+CIPCLOSE", Op.SET)
    def _close(self, command: Command) -> Reply:
        number = self._number(command)
        if self.inboxes.pop(number, None) is None:
            return Reply((self.line("+CIPCLOSE", number, NOT_SUPPORTED),), final="ERROR")
        self.modem.bridge.close(number)
        if number in self._udp:
            self._udp.discard(number)
            return Reply((self.line("+CIPCLOSE", number, 0),))
        return Reply(then=lambda: self.urc("+CIPCLOSE", number, 0))

    @command("+CIPCLOSE", Op.READ)
    def _states(self, _: Command) -> Reply:
        numbers = range(self.table.socket_ids)
        return Reply((self.line("+CIPCLOSE", *(int(n in self.inboxes) for n in numbers)),))

    # -- receiving ------------------------------------------------------------------------------

    @command("+CIPRXGET", Op.SET)
    def _receive(self, command: Command) -> Reply:
        mode = command.number(0, 0, 4)
        if mode < 2:
            self.fetch = mode == 1
            return Reply()
        number = self._number(command, 1)
        inbox = self.inboxes.get(number)
        if mode == 4:
            if inbox is None:
                return self._ip_error(NO_DATA)
            return Reply((self.line("+CIPRXGET", 4, number, inbox.waiting),))
        most = READ_MOST if mode == 2 else READ_HEX_MOST
        wanted = command.number(2, 1, most, most)
        data = self._fetch(inbox, wanted) if inbox is not None else b""
        if not data or inbox is None:
            return self._ip_error(NO_DATA)
        self.regulate(number)
        head = self.line("+CIPRXGET", mode, number, len(data), inbox.waiting).encode()
        return Reply((head + b"\r\n" + (data if mode == 2 else data.hex().upper().encode()),))

    def _fetch(self, inbox: Inbox, wanted: int) -> bytes:
        # By default datagrams run together (udpRecvmode of CIPCCFG).
        if not self.by_datagram:
            return inbox.read(wanted)
        piece = inbox.take(wanted)
        return piece.data if piece is not None else b""

    @command("+CIPRXGET", Op.READ)
    def _fetches(self, _: Command) -> Reply:
        return Reply((self.line("+CIPRXGET", int(self.fetch)),))

    def on_data(self, number: int, data: bytes) -> None:
        """As Family.on_data."""
        connection = self.modem.bridge.get(number)
        if self.fetch or connection is None:
            super().on_data(number, data)
        else:
            self._push(connection.host, connection.port, data)

    def on_datagram(self, number: int, host: str, port: int, data: bytes) -> None:
        """As Family.on_datagram."""
        if self.fetch:
            super().on_datagram(number, host, port, data)
        else:
            self._push(host, port, data)

    def _push(self, host: str, port: int, data: bytes) -> None:
        head = f"\r\nRECV FROM:{host}:{port}\r\n+IPD{len(data)}\r\n"
        self.modem.transmit(head.encode() + data + b"\r\n")

    def notify(self, number: int) -> None:
        """As Simcom.notify."""
        self.urc("+CIPRXGET", 1, number)

    def on_closed(self, number: int) -> None:
        """As Family.on_closed; what came before can still be read."""
        self.urc("+IPCLOSE", number, CLOSED_BY_PEER)

    @command("+CDNSGIP", Op.SET)
    def _resolve(self, command: Command) -> Reply:
        host = self.host(command, 0)
        if not self.network_open:
            raise CommandError()

        def done(address: str | None) -> None:
            self.finish(self.resolution(host, address, DNS_ERROR), failed=address is None)

        return Reply(final="", then=lambda: self.modem.bridge.lookup(host, done))
