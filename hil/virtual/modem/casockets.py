"""SIMCom's CA sockets: bearers by CNCFG and CNACT, connections by CAOPEN to CACLOSE, CDNSGIP.

Sources: SIM7070_SIM7080_SIM7090 AT Command Manual and TCPUDP(S) Application Note; where the module
answers otherwise than they say, public logs of it.
"""

import random
from typing import TYPE_CHECKING

from hil.virtual.modem.bridge import Unresolved
from hil.virtual.modem.family import CommandError, Prompt, Reply, command
from hil.virtual.modem.general import NOT_ALLOWED
from hil.virtual.modem.grammar import Command, GrammarError, Op
from hil.virtual.modem.inbox import Inbox
from hil.virtual.modem.simcom import Simcom

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

# <result> of +CAOPEN.
OPENED, SOCKET_ERROR, UNRESOLVED, NOT_ACTIVE, CONNECT_FAILED = 0, 1, 20, 21, 27
DNS_ERROR = 8
UNSET = "0.0.0.0"  # noqa: S104 - what the module prints
BEARERS = 4
LINE_LOST = 0.5  # chance, for the first CASEND after sleep


class CaSockets(Simcom):
    """Sockets need CNACT. After sleep the first CASEND may get lost, and no prompt comes."""

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.tells_sends = rng.random() < 0.5  # firmwares differ: a +CASEND line behind the OK
        self.bearer_apns = [""] * BEARERS
        self.active: set[int] = set()
        self.release = 0  # of CRAI, for the next packet
        self.slept = False

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.active.clear()
        self.slept = False
        self.release = 0

    def on_sleep(self) -> None:
        """As Family.on_sleep."""
        self.slept = True

    # -- bearers --------------------------------------------------------------------------------

    @command("+CNCFG", Op.SET)
    def _configure(self, command: Command) -> Reply:
        bearer = command.number(0, 0, BEARERS - 1)
        command.number(1, 0, 3)
        self.bearer_apns[bearer] = command.text(2, "")
        return Reply()

    @command("+CNCFG", Op.READ)
    def _configuration(self, _: Command) -> Reply:
        rows = enumerate(self.bearer_apns)
        return Reply(tuple(f'+CNCFG: {n},1,"{apn}","","",0' for n, apn in rows))

    @command("+CNACT", Op.SET)
    def _activate(self, command: Command) -> Reply:
        bearer, action = command.number(0, 0, BEARERS - 1), command.number(1, 0, 2)
        if bool(action) == (bearer in self.active):
            raise CommandError(NOT_ALLOWED)
        if not self.modem.network.registered:
            raise CommandError(NOT_ALLOWED)
        granted = bool(action) and self.context_active()
        change = self._activated if granted else self._deactivate
        return Reply(then=lambda: change(bearer))

    def _activated(self, bearer: int) -> None:
        self.active.add(bearer)
        self.urc("+APP PDP", bearer, "ACTIVE")

    def _deactivate(self, bearer: int) -> None:
        self.active.discard(bearer)
        self.inboxes.clear()
        self.modem.bridge.drop()
        self.urc("+APP PDP", bearer, "DEACTIVE")

    @command("+CNACT", Op.READ)
    def _activity(self, _: Command) -> Reply:
        lines = []
        for bearer in range(BEARERS):
            there = bearer in self.active
            address = self.address if there else UNSET
            lines.append(self.line("+CNACT", bearer, int(there), f'"{address}"'))
        return Reply(tuple(lines))

    def on_registration(self) -> None:
        """As Family.on_registration; without a network the bearers go, and say so."""
        super().on_registration()
        if not self.modem.network.registered:
            self.on_deactivated()

    def on_deactivated(self) -> None:
        """As Family.on_deactivated."""
        for bearer in sorted(self.active):
            self._deactivate(bearer)

    # -- sockets --------------------------------------------------------------------------------

    def _number(self, command: Command) -> int:
        return command.number(0, 0, self.table.socket_ids - 1)

    @command("+CAOPEN", Op.SET)
    def _open(self, command: Command) -> Reply:
        number, bearer = self._number(command), command.number(1, 0, BEARERS - 1)
        kind, host = command.text(2).upper(), self.host(command, 3)
        port = command.number(4, 1, 65535)
        if kind not in ("TCP", "UDP") or len(command.args) > 5:
            raise GrammarError("+CAOPEN")  # <recv_mode> is in the manual, and refused
        if number in self.inboxes:
            return Reply((self.line("+CAOPEN", number, SOCKET_ERROR),))
        if bearer not in self.active:
            return Reply((self.line("+CAOPEN", number, NOT_ACTIVE),))
        return Reply(final="", then=lambda: self._connect(number, kind, host, port))

    def _connect(self, number: int, kind: str, host: str, port: int) -> None:
        bridge = self.modem.bridge
        self.inboxes[number] = Inbox()

        def done(connected: bool) -> None:
            self._opened(number, OPENED if connected else CONNECT_FAILED)

        try:
            bridge.open(number, host, port, self.table.recv_most, done, udp=kind == "UDP")
        except Unresolved:
            self._opened(number, UNRESOLVED)

    def _opened(self, number: int, result: int) -> None:
        if result != OPENED:
            self.inboxes.pop(number, None)
            self.modem.bridge.close(number)
        self.finish(self.line("+CAOPEN", number, result))

    @command("+CASEND", Op.SET)
    def _send(self, command: Command) -> Reply | Prompt:
        number = self._number(command)
        length = command.number(1, 1, self.table.send_most)
        connection = self.modem.bridge.get(number)
        if connection is None or not connection.open:
            raise CommandError(NOT_ALLOWED)
        lost, self.slept = self.slept and self.rng.random() < LINE_LOST, False
        if lost:
            return Reply(final="")
        return Prompt(length, lambda data: self._take(number, data))

    def _take(self, number: int, data: bytes) -> None:
        release, self.release = self.release, 0
        taken = self.send(number, data, release)
        self.finish(failed=not taken)
        if taken and self.tells_sends:
            self.urc("+CASEND", number, 0, len(data))

    @command("+CAACK", Op.SET)
    def _acknowledged(self, command: Command) -> Reply:
        connection = self.modem.bridge.get(self._number(command))
        if connection is None:
            raise CommandError(NOT_ALLOWED)
        return Reply((self.line("+CAACK", connection.up, 0),))

    @command("+CARECV", Op.SET)
    def _receive(self, command: Command) -> Reply:
        number = self._number(command)
        if number not in self.inboxes:
            raise CommandError(NOT_ALLOWED)
        piece = self.inboxes[number].take(command.number(1, 1, self.table.recv_most))
        if piece is None:
            return Reply(("+CARECV: 0",))
        self.regulate(number)
        # The manual has the socket's number before the length; modules leave it out.
        return Reply((b"+CARECV: %d,%s" % (len(piece.data), piece.data),))

    @command("+CARECV", Op.READ)
    def _received(self, _: Command) -> Reply:
        boxes = sorted(self.inboxes.items())
        return Reply(tuple(self.line("+CARECV", n, b.waiting) for n, b in boxes if b.waiting))

    @command("+CASTATE", Op.READ)
    def _states(self, _: Command) -> Reply:
        lines = []
        for number in sorted(self.inboxes):
            connection = self.modem.bridge.get(number)
            is_open = connection is not None and connection.open
            lines.append(self.line("+CASTATE", number, int(is_open)))
        return Reply(tuple(lines))

    @command("+CACLOSE", Op.SET)
    def _close(self, command: Command) -> Reply:
        number = self._number(command)
        if self.inboxes.pop(number, None) is None:
            raise CommandError()
        self.modem.bridge.close(number)
        return Reply()

    def notify(self, number: int) -> None:
        """As Simcom.notify."""
        self.urc("+CADATAIND", number)

    def on_closed(self, number: int) -> None:
        """As Family.on_closed; what came before can still be read."""
        self.urc("+CASTATE", number, 0)

    @command("+CDNSGIP", Op.SET)
    def _resolve(self, command: Command) -> Reply:
        host = self.host(command, 0)
        if not self.active:
            raise CommandError(NOT_ALLOWED)

        def done(address: str | None) -> None:
            self.modem.urc(self.resolution(host, address, DNS_ERROR))

        return Reply(then=lambda: self.modem.bridge.lookup(host, done))
