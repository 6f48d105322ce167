"""Sockets in Neul's grammar, which HiSilicon's modules speak: no quotes, no blanks, hex payloads.

Source: BC95-G&BC68 AT Commands Manual, general commands.
"""

import ipaddress
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hil.virtual.modem.family import CommandError, Reply, command
from hil.virtual.modem.general import NOT_ALLOWED, WRONG_PARAMETER
from hil.virtual.modem.grammar import Command, Op
from hil.virtual.modem.inbox import Inbox, Piece, regulate
from hil.virtual.modem.psm import PowerSaving

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

# +CME ERROR numbers of the manual, above those of 27.007.
FLOW_CONTROL = 159
WRONG_STATE = 517
NOT_OUR_SOCKET = 531
# <flag> of NSOSTF and NSOSD: none, urgent, release after this packet, release after its answer.
RELEASES = {0: 0, 0x100: 0, 0x200: 1, 0x400: 2}
ANNOUNCE, PUSH_FROM, PUSH = 1, 2, 3  # modes of NSONMI
DATAGRAMS, STREAM = ("DGRAM", 17), ("STREAM", 6)
HOST_MOST = 255


@dataclass
class Socket:
    """What NSOCR made. `announced`: an NSONMI has gone out, and nothing was read since."""

    stream: bool
    listens: bool
    inbox: Inbox = field(default_factory=Inbox)
    announced: bool = False


class Neul(PowerSaving):
    """NSOCR to NSOCL, NSONMI and QDNS. Sockets end with deep sleep."""

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.sockets: dict[int, Socket] = {}
        self.indication = ANNOUNCE

    def on_reset(self) -> None:
        """As Family.on_reset: the sockets are gone as well."""
        super().on_reset()
        self.sockets.clear()
        self.indication = ANNOUNCE

    def on_psm(self, entered: bool) -> None:
        """As Family.on_psm."""
        if entered:
            self.modem.bridge.drop()
            self.sockets.clear()

    # -- making and closing ---------------------------------------------------------------------

    @command("+NSOCR", Op.SET)
    def _create(self, command: Command) -> Reply:
        kind = (command.bare(0).upper(), command.number(1, 0, 255))
        if kind not in (DATAGRAMS, STREAM):
            raise CommandError(WRONG_PARAMETER)
        command.number(2, 0, 65535)
        listens = command.number(3, 0, 1, 1) == 1
        free = [n for n in range(self.table.socket_ids) if n not in self.sockets]
        if not free:
            raise CommandError(NOT_ALLOWED)
        self.sockets[free[0]] = Socket(kind == STREAM, listens)
        if kind == DATAGRAMS:
            self.modem.bridge.bind(free[0])
        return Reply((str(free[0]),))

    @command("+NSOCO", Op.SET)
    def _connect(self, command: Command) -> Reply:
        number, socket = self._socket(command)
        host, port = self._host(command, 1), command.number(2, 1, 65535)
        there = self.modem.bridge.get(number) is not None
        if not socket.stream or there or not self.context_active():
            raise CommandError(WRONG_STATE)
        return Reply(final="", then=lambda: self._dial(number, host, port))

    def _dial(self, number: int, host: str, port: int) -> None:
        def done(connected: bool) -> None:
            if not connected:
                self.modem.bridge.close(number)
            self.finish(error=NOT_ALLOWED, failed=not connected)

        self.modem.bridge.open(number, host, port, self.table.recv_most, done)

    @command("+NSOCL", Op.SET)
    def _close(self, command: Command) -> Reply:
        number, _ = self._socket(command)
        del self.sockets[number]
        self.modem.bridge.close(number)
        return Reply()

    def _socket(self, command: Command) -> tuple[int, Socket]:
        number = command.number(0, 0, self.table.socket_ids - 1)
        if number not in self.sockets:
            raise CommandError(NOT_OUR_SOCKET)
        return number, self.sockets[number]

    @staticmethod
    def _host(command: Command, index: int) -> str:
        # Addresses only: a name goes through QDNS first.
        try:
            return str(ipaddress.IPv4Address(command.bare(index)))
        except ValueError:
            raise CommandError(WRONG_PARAMETER) from None

    # -- sending --------------------------------------------------------------------------------

    @command("+NSOST", Op.SET)
    def _send_datagram(self, command: Command) -> Reply:
        return self._to(command, 0, 3)

    @command("+NSOSTF", Op.SET)
    def _send_with_flag(self, command: Command) -> Reply:
        return self._to(command, self._release(command, 3), 4)

    def _to(self, command: Command, release: int, at: int) -> Reply:
        number, socket = self._socket(command)
        host, port = self._host(command, 1), command.number(2, 1, 65535)
        data, sequence = self._payload(command, at), self._sequence(command, at + 2)
        bound = self.modem.bridge.get(number)
        if socket.stream or bound is None or not bound.open or not self.context_active():
            raise CommandError(WRONG_STATE)
        return self._sent(number, data, sequence, self.send_to(number, host, port, data, release))

    @command("+NSOSD", Op.SET)
    def _send_stream(self, command: Command) -> Reply:
        number, socket = self._socket(command)
        data, sequence = self._payload(command, 1), self._sequence(command, 4)
        release = self._release(command, 3) if command.has(3) else 0
        connection = self.modem.bridge.get(number)
        if not socket.stream or connection is None or not connection.open:
            raise CommandError(WRONG_STATE)
        return self._sent(number, data, sequence, self.send(number, data, release))

    def _sent(self, number: int, data: bytes, sequence: int, taken: bool) -> Reply:
        if not taken:
            raise CommandError(FLOW_CONTROL)
        then = (lambda: self.urc("+NSOSTR", number, sequence, 1)) if sequence else None
        return Reply((f"{number},{len(data)}",), then)

    def _payload(self, command: Command, at: int) -> bytes:
        length = command.number(at, 1, self.table.send_most)
        try:
            data = bytes.fromhex(command.bare(at + 1))
        except ValueError:
            raise CommandError(WRONG_PARAMETER) from None
        if len(data) != length:
            raise CommandError(WRONG_PARAMETER)
        return data

    @staticmethod
    def _sequence(command: Command, at: int) -> int:
        return command.number(at, 1, 255) if command.has(at) else 0

    @staticmethod
    def _release(command: Command, at: int) -> int:
        text = command.bare(at).lower()
        try:
            return RELEASES[int(text, 16 if text.startswith("0x") else 10)]
        except (KeyError, ValueError):
            raise CommandError(WRONG_PARAMETER) from None

    # -- receiving ------------------------------------------------------------------------------

    @command("+NSONMI", Op.SET)
    def _indicate(self, command: Command) -> Reply:
        self.indication = command.number(0, 0, PUSH)
        return Reply()

    @command("+NSONMI", Op.READ)
    def _indicates(self, _: Command) -> Reply:
        return Reply((self.line("+NSONMI", self.indication),))

    @command("+NSORF", Op.SET)
    def _read(self, command: Command) -> Reply:
        number, socket = self._socket(command)
        piece = socket.inbox.take(command.number(1, 1, self.table.recv_most))
        if piece is None:
            return Reply()
        regulate(socket.inbox, self.modem.bridge.get(number))
        if not piece.left:
            socket.announced = False
        values = (number, piece.host, piece.port, len(piece.data), piece.data.hex().upper())
        line = ",".join(str(value) for value in (*values, piece.left))
        return Reply((line,), lambda: self._announce(number, socket))

    def _announce(self, number: int, socket: Socket) -> None:
        # One URC for each message; the next one when this one has been read.
        if self.indication == ANNOUNCE and socket.inbox.waiting and not socket.announced:
            socket.announced = True
            self.urc("+NSONMI", number, socket.inbox.first)

    def on_data(self, number: int, data: bytes) -> None:
        """As Family.on_data."""
        connection = self.modem.bridge.get(number)
        if connection is not None:
            self._came(number, Piece(connection.host, connection.port, data))

    def on_datagram(self, number: int, host: str, port: int, data: bytes) -> None:
        """As Family.on_datagram."""
        self._came(number, Piece(host, port, data, datagram=True))

    def _came(self, number: int, piece: Piece) -> None:
        socket = self.sockets.get(number)
        if socket is None or not socket.listens:
            return
        text = piece.data.hex().upper()
        if self.indication == PUSH_FROM:
            self.urc("+NSONMI", number, piece.host, piece.port, len(piece.data), text)
        elif self.indication == PUSH:
            self.urc("+NSONMI", number, len(piece.data), text)
        elif socket.inbox.put(piece):
            regulate(socket.inbox, self.modem.bridge.get(number))
            self._announce(number, socket)

    def on_closed(self, number: int) -> None:
        """As Family.on_closed. This URC alone has a blank (seen in logs of a BC28)."""
        self.modem.urc(f"+NSOCLI: {number}")

    # -- names ----------------------------------------------------------------------------------

    @command("+QDNS", Op.SET)
    def _resolve(self, command: Command) -> Reply:
        command.number(0, 0, 0)
        host = command.bare(1)
        if len(host) > HOST_MOST or not self.context_active():
            raise CommandError(WRONG_STATE)
        return Reply(then=lambda: self.modem.bridge.lookup(host, self._resolved))

    def _resolved(self, address: str | None) -> None:
        self.urc("+QDNS", address or "FAIL")
