"""The twin of Quectel's EC200 (LTE Cat 1)."""

import random
from typing import TYPE_CHECKING, ClassVar

from hil.virtual.modem.clock import written
from hil.virtual.modem.dialling import Dialling
from hil.virtual.modem.family import CommandError, Reply, Table, command
from hil.virtual.modem.fotacommands import QuectelUpdating
from hil.virtual.modem.grammar import Command, GrammarError, Op
from hil.virtual.modem.quectel import DNS_FAILED, Quectel, Source
from hil.virtual.modem.surroundings import HOME

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

BANDS = (1, 3, 5, 8, 34, 38, 39, 40, 41)
NOT_PROVIDED = 4  # +CME ERROR: operation not supported
NO_SERVICE = 30
NOT_SUBSCRIBED = 133  # requested service option not subscribed (27.007, 9.2.2.2)
WRONG_PARAMETER = 50
NO_DATA = 148  # unspecified error of the packet domain


class Ec200(Dialling, QuectelUpdating, Quectel):
    """Sockets need context 1 activated by QIACT; it sleeps only while DTR is high."""

    unset_clock = "80/01/06,00:00:21+00"
    answers_late = True
    old_bands = 0x93  # of 2G and 3G
    table: ClassVar[Table] = Table(
        name="ec200",
        model="EC200U",
        firmware="EC200UCNAAR03A09M08",
        technology=7,
        boot_s=(4.0, 12.0),
        boot_noise=(
            b"\r\nRDY\r\n",
            b"\r\n+CFUN: 1\r\n",
            b"\r\n+CPIN: READY\r\n",
            b"\r\n+QUSIM: 1\r\n",
            b"\r\n+QIND: SMS DONE\r\n",
        ),
        context=1,
        socket_ids=12,
        send_most=1460,
        recv_most=1460,
        sleep_after_s=5.0,
        wake_s=(0.02, 0.05),
        chatter=("+QIND: PB DONE", '+QIND: "csq",22,99', "+QUSIM: 1"),
    )

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.sleep_mode = 0
        self.dtr = 0
        self.active = False

    def context_active(self) -> bool:
        """Registered, and QIACT has been done."""
        return self.active and super().context_active()

    def may_sleep(self) -> bool:
        """QSCLK=1, and DTR high."""
        return self.sleep_mode == 1 and self.dtr == 1 and not self.ppp.active

    def on_pin(self, name: str, level: int) -> None:
        """DTR low wakes."""
        if name == "dtr":
            self.dtr = level
            if not level:
                self.modem.wake()

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.sleep_mode = 0
        self.active = False

    def on_registration(self) -> None:
        """As Family.on_registration; without a network the context goes, and says so."""
        super().on_registration()
        if not self.modem.network.registered:
            self.on_deactivated()

    def on_deactivated(self) -> None:
        """As Family.on_deactivated."""
        super().on_deactivated()
        if self.active:
            self.deactivate()
            self.modem.urc(f'+QIURC: "pdpdeact",{self.table.context}')

    def deactivate(self) -> None:
        """The context and its sockets are gone."""
        self.active = False
        self.modem.bridge.drop()

    def received(self, number: int, length: int, text: bytes, source: Source | None) -> bytes:
        """The data follows the URC's line."""
        sender = b',"%s",%d' % (source[0].encode(), source[1]) if source is not None else b""
        return b'\r\n+QIURC: "recv",%d,%d%s\r\n%s\r\n' % (number, length, sender, text)

    def resolved(self, address: str | None) -> None:
        """A line that counts the addresses, and one for each."""
        if address is None:
            self.modem.urc(f'+QIURC: "dnsgip",{DNS_FAILED}')
            return
        self.modem.urc('+QIURC: "dnsgip",0,1,600')
        self.modem.urc(f'+QIURC: "dnsgip","{address}"')

    @command("+CGSN", Op.EXECUTE)
    @command("+GSN", Op.EXECUTE)
    def _serial(self, _: Command) -> Reply:
        return Reply((self.imei,))

    @command("+QSCLK", Op.SET)
    def _set_sleep(self, command: Command) -> Reply:
        self.sleep_mode = command.number(0, 0, 1)
        return Reply()

    @command("+QICSGP", Op.SET)
    def _service(self, command: Command) -> Reply:
        if command.number(0, 1, 16) != self.table.context:
            raise CommandError(NOT_PROVIDED)
        if len(command.args) == 1:
            return Reply((f'+QICSGP: 1,"{self.apn}","","",0',))
        command.number(1, 1, 3)
        self.contexts[self.table.context] = ("IP", command.text(2, ""))
        return Reply()

    @command("+QIACT", Op.READ)
    def _active(self, _: Command) -> Reply:
        if not self.context_active():
            return Reply()
        return Reply((f'+QIACT: {self.table.context},1,1,"{self.address}"',))

    @command("+QIACT", Op.SET)
    def _activate(self, command: Command) -> Reply:
        if command.number(0, 1, 16) != self.table.context or self.active:
            raise CommandError()
        if not self.modem.network.registered:
            raise CommandError(NO_SERVICE)
        if not self.modem.context_allowed:
            raise CommandError(NO_DATA)
        self.active = True
        return Reply()

    @command("+QIDEACT", Op.SET)
    def _deactivate(self, command: Command) -> Reply:
        command.number(0, 1, 16)
        self.deactivate()
        return Reply()

    @command("+QLTS", Op.SET)
    def _network_time(self, command: Command) -> Reply:
        mode = command.number(0, 0, 2)
        if not self.modem.network.time_known:
            return Reply(('+QLTS: ""',))
        now = self.modem.now_s() + (self.modem.zone_s if mode == 2 else 0)
        return Reply((f'+QLTS: "{written(now)}{self.modem.zone},0"',))

    @command("+CCLK", Op.READ)
    def _clock(self, _: Command) -> Reply:
        # GMT and its zone, where 27.007 wants local time.
        known = self.modem.network.time_known
        text = f"{written(self.modem.now_s())[2:]}{self.modem.zone}" if known else self.unset_clock
        return Reply((f'+CCLK: "{text}"',))

    @command("+QPOWD", Op.SET)
    @command("+QPOWD", Op.EXECUTE)
    def _power_down(self, command: Command) -> Reply:
        command.number(0, 0, 1, 1)
        return Reply(then=self._powered_down)

    def _powered_down(self) -> None:
        self.modem.urc("POWERED DOWN")
        self.modem.shut_down()

    @command("+QCFG", Op.SET)
    def _configure_module(self, command: Command) -> Reply:
        if command.text(0).lower() != "band":
            raise CommandError(NOT_PROVIDED)
        around = self.modem.surroundings
        if len(command.args) == 1:
            mask = sum(1 << (band - 1) for band in sorted(around.bands) or BANDS)
            return Reply((f'+QCFG: "band",0x{self.old_bands:x},0x{mask:x}',))
        try:
            # Neither 0x nor a third mask: EC200A refuses both.
            old, mask = (int(text, 16) for text in command.args[1:])
        except ValueError:
            raise CommandError(WRONG_PARAMETER) from None
        if "x" in "".join(command.args).lower():
            raise CommandError(WRONG_PARAMETER)
        bands = frozenset(band for band in BANDS if mask >> (band - 1) & 1)
        if not bands:
            raise CommandError(WRONG_PARAMETER)
        self.old_bands = old
        every = bands == set(BANDS)
        return Reply(then=lambda: around.restrict(frozenset() if every else bands))

    @command("+QENG", Op.SET)
    def _engineering(self, command: Command) -> Reply:
        # EC2x AT manual: <SINR> in fifths of a dB above -20 dB.
        if command.text(0).lower() != "servingcell":
            raise GrammarError("+QENG: the twin has servingcell only")
        signal, cell = self.modem.signal(), self.modem.network.cell
        if signal is None or cell is None:
            return Reply(('+QENG: "servingcell","SEARCH"',))
        state = "CONNECT" if self.modem.air.connected else "NOCONN"
        place = f"{cell.ci:X},{cell.pci},{cell.earfcn},{cell.band},3,3,{cell.tac:X}"
        sinr = max(0, min(250, 5 * (signal.snr_db + 20)))
        levels = f"{signal.rsrp_dbm},{signal.rsrq_db},{signal.rssi_dbm},{sinr},-"
        found = self.modem.surroundings.best()
        plmn = found.plmn if found is not None else HOME
        if not self.modem.network.registered:
            state = "LIMSRV"
        whose = f"{plmn[:3]},{plmn[3:]}"
        return Reply((f'+QENG: "servingcell","{state}","LTE","FDD",{whose},{place},{levels}',))
