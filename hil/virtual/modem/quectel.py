"""The TCP commands that Quectel's families share, and what a subclass may form differently."""

import random
from typing import TYPE_CHECKING

from hil.virtual.modem.bridge import Unresolved
from hil.virtual.modem.family import CommandError, Family, Prompt, Reply, command
from hil.virtual.modem.grammar import Command, Op

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

# Result codes of the TCP/IP Application Note.
NOT_SUPPORTED = 555
PDP_FAILED = 561
ID_IN_USE = 563
DNS_FAILED = 565
CONNECT_FAILED = 566
NOT_ALLOWED = 572
PUSH_MODE = 1
HOST_MOST = 150


class Quectel(Family):
    """QIOPEN, QISEND, QICLOSE and the URCs; `full_sends` makes that many sends fail."""

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.full_sends = 0

    # -- what differs between the families ------------------------------------------------------

    def context_active(self) -> bool:
        """Whether sockets may be opened."""
        return self.modem.network.registered

    def received(self, number: int, data: bytes) -> bytes:
        """The URC that brings `data`, in full."""
        raise NotImplementedError

    def took(self) -> tuple[str, ...]:
        """The lines that close a send that the modem's TCP took."""
        return ("SEND OK",)

    # -- commands -------------------------------------------------------------------------------

    @command("+QIOPEN", Op.SET)
    def _open(self, command: Command) -> Reply:
        context = command.number(0, 0, 16)
        number = command.number(1, 0, self.table.socket_ids - 1)
        if command.text(2).upper() != "TCP" or command.number(6, 0, 2, 0) != PUSH_MODE:
            raise CommandError(NOT_SUPPORTED)
        host = command.text(3)
        if len(host) > HOST_MOST:
            raise CommandError(552)
        port = command.number(4, 1, 65535)
        return Reply(then=lambda: self._connect(context, number, host, port))

    def _connect(self, context: int, number: int, host: str, port: int) -> None:
        bridge = self.modem.bridge
        if bridge.get(number) is not None:
            self._result(number, ID_IN_USE)
        elif context != self.table.context or not self.context_active():
            bridge.occupy(number, host, port)
            self._result(number, PDP_FAILED)
        else:
            try:
                bridge.open(
                    number,
                    host,
                    port,
                    self.table.recv_most,
                    lambda ok: self._result(number, 0 if ok else CONNECT_FAILED),
                )
            except Unresolved:
                bridge.occupy(number, host, port)
                self._result(number, DNS_FAILED)

    def _result(self, number: int, code: int) -> None:
        self.modem.urc(f"+QIOPEN: {number},{code}")

    @command("+QISEND", Op.SET)
    def _send(self, command: Command) -> Reply | Prompt:
        number = command.number(0, 0, self.table.socket_ids - 1)
        length = command.number(1, 0, self.table.send_most)
        connection = self.modem.bridge.get(number)
        if connection is None or not connection.open:
            raise CommandError(NOT_ALLOWED)
        if not length:
            return Reply((f"+QISEND: {connection.up},{connection.up},0",))
        return Prompt(length, lambda data: self._take(number, data))

    def _take(self, number: int, data: bytes) -> None:
        if self.full_sends:
            self.full_sends -= 1
            taken = False
        else:
            taken = self.modem.bridge.send(number, data)
        for line in self.took() if taken else ("SEND FAIL",):
            self.modem.answer(line)

    @command("+QICLOSE", Op.SET)
    def _close(self, command: Command) -> Reply:
        self.modem.bridge.close(command.number(0, 0, self.table.socket_ids - 1))
        return Reply()

    @command("+QCCID", Op.EXECUTE)
    def _card(self, _: Command) -> Reply:
        return Reply((f"+QCCID: {self.iccid}",))

    # -- events ---------------------------------------------------------------------------------

    def on_data(self, number: int, data: bytes) -> None:
        """Bytes came from a peer."""
        self.modem.transmit(self.received(number, data))

    def on_closed(self, number: int) -> None:
        """A peer closed, or its connection broke."""
        self.modem.urc(f'+QIURC: "closed",{number}')

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.full_sends = 0
