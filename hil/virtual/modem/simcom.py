"""What SIMCom's families share: identity, sleep by CSCLK and DTR, data that the host fetches."""

import random
from typing import TYPE_CHECKING, ClassVar

from hil.virtual.modem.family import Reply, command
from hil.virtual.modem.grammar import Command, GrammarError, Op
from hil.virtual.modem.inbox import Inbox, Piece, regulate
from hil.virtual.modem.packet import PacketDomain
from hil.virtual.modem.surroundings import HOME

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

HOST_MOST = 254


class Simcom(PacketDomain):
    """`inboxes` has one for each open socket. Sleep modes: 0 none, 1 by DTR."""

    sleep_modes: ClassVar[tuple[int, ...]] = (0, 1)

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.sleep_mode = 0
        self.dtr = 0
        self.inboxes: dict[int, Inbox] = {}

    def on_reset(self) -> None:
        """As Family.on_reset; the sockets are gone."""
        super().on_reset()
        self.sleep_mode = 0
        self.inboxes.clear()

    def may_sleep(self) -> bool:
        """CSCLK=1, and DTR high."""
        return self.sleep_mode == 1 and self.dtr == 1

    def wakes_by_bytes(self) -> bool:
        """The UART is off in DTR sleep."""
        return self.sleep_mode != 1

    def on_pin(self, name: str, level: int) -> None:
        """DTR low wakes."""
        if name == "dtr":
            self.dtr = level
            if not level:
                self.modem.wake()

    def notify(self, number: int) -> None:
        """Data came into an inbox that was empty: the URC that says so."""
        raise NotImplementedError

    def on_data(self, number: int, data: bytes) -> None:
        """As Family.on_data."""
        self._keep(number, Piece("", 0, data))

    def on_datagram(self, number: int, host: str, port: int, data: bytes) -> None:
        """As Family.on_datagram."""
        self._keep(number, Piece(host, port, data, datagram=True))

    def _keep(self, number: int, piece: Piece) -> None:
        inbox = self.inboxes.setdefault(number, Inbox())
        news = not inbox.waiting
        if inbox.put(piece) and news:
            self.notify(number)
        self.regulate(number)

    def regulate(self, number: int) -> None:
        """Data came into an inbox or were fetched: see to it that no more come than fit."""
        if number in self.inboxes:
            regulate(self.inboxes[number], self.modem.bridge.get(number))

    def place(self) -> tuple[str | int, ...] | None:
        """The fields of +CPSI from the network's code to the EARFCN; None without a cell."""
        cell = self.modem.network.cell
        if cell is None:
            return None
        band = f"EUTRAN-BAND{cell.band}"
        found = self.modem.surroundings.best()
        plmn = found.plmn if found is not None else HOME
        return (
            f"{plmn[:3]}-{plmn[3:]}",
            f"0x{cell.tac:04X}",
            cell.ci,
            cell.pci,
            band,
            cell.earfcn,
        )

    def host(self, command: Command, index: int) -> str:
        """A host name or an address."""
        host = command.text(index)
        if len(host) > HOST_MOST:
            raise GrammarError(f"{command.name}: the name is too long")
        return host

    def resolution(self, host: str, address: str | None, error: int) -> str:
        """What CDNSGIP finds; `error` is the family's code for a name that nobody knows."""
        if address is None:
            return self.line("+CDNSGIP", 0, error)
        return self.line("+CDNSGIP", 1, f'"{host}"', f'"{address}"')

    # -- commands -------------------------------------------------------------------------------

    @command("+CGSN", Op.EXECUTE)
    @command("+GSN", Op.EXECUTE)
    def _serial(self, _: Command) -> Reply:
        return Reply((self.imei,))

    @command("+CSCLK", Op.SET)
    def _set_sleep(self, command: Command) -> Reply:
        self.sleep_mode = command.number(0, 0, max(self.sleep_modes))
        return Reply()

    @command("+CSCLK", Op.READ)
    def _sleep(self, _: Command) -> Reply:
        return Reply((self.line("+CSCLK", self.sleep_mode),))
