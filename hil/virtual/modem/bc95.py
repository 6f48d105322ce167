"""The twin of Quectel's BC95-G and BC28 (NB-IoT), which speak Neul's grammar.

Source: BC95-G&BC68 AT Commands Manual; banner and statistics as in public logs of the module.
"""

import random
from typing import TYPE_CHECKING, ClassVar

from hil.virtual.modem.clock import written
from hil.virtual.modem.family import CommandError, Reply, Table, command
from hil.virtual.modem.grammar import Command, GrammarError, Op, Style
from hil.virtual.modem.neul import Neul

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

UNKNOWN = -32768
BANDS = (3, 5, 8, 20, 28)


class Bc95(Neul):
    """Context 0 comes up with the attach. The boot banner has an OK that answers nothing."""

    table: ClassVar[Table] = Table(
        name="bc95",
        model="BC95-G",
        firmware="BC95GJBR01A05",
        technology=7,
        boot_s=(2.0, 5.0),
        boot_noise=(
            b"\xc3\xe2F\xf8\r\n\r\nBoot: Unsigned\r\n",
            b"Security B.. Verified\r\nProtocol A.. Verified\r\nApps A...... Verified\r\n",
            b"\r\nREBOOT_CAUSE_APPLICATION_AT\r\nNeul \r\nOK\r\n",
        ),
        context=0,
        socket_ids=7,
        send_most=1358,
        recv_most=1358,
        sleep_after_s=10.0,
        wake_s=(0.05, 0.6),
        chatter=("+QLWEVTIND:0", "+CTZEU:+32,0", "+CSCON:1"),
        style=Style(gap="", quote="", address_quote=""),
        line_most=3072,
        apn="ctnb",
    )

    def __init__(self, modem: "ModemTwin", rng: random.Random) -> None:
        super().__init__(modem, rng)
        self.tells_psm = False
        self.tells_connection = False
        self._told_connected = False
        self._end_us = 0  # when the connection is looked at again

    def on_reset(self) -> None:
        """As Family.on_reset."""
        super().on_reset()
        self.tells_psm = self.tells_connection = self._told_connected = False

    def on_psm(self, entered: bool) -> None:
        """As Family.on_psm, told by NPSMR."""
        super().on_psm(entered)
        if self.tells_psm:
            self.urc("+NPSMR", int(entered))

    def may_sleep(self) -> bool:
        """In PSM, and only there."""
        return self.modem.saving.in_psm

    def clock_text(self) -> str:
        """UTC; the zone is only told along (BC28 logs)."""
        return f"{written(self.modem.now_s())[2:]}{self.modem.zone}"

    @command("+CCLK", Op.READ)
    def _clock(self, _: Command) -> Reply:
        if not self.modem.network.time_known:
            return Reply()
        return Reply((self.line("+CCLK", self.clock_text()),))

    @command("+CGSN", Op.SET)
    def _identity(self, command: Command) -> Reply:
        if command.number(0, 0, 3) != 1:
            raise GrammarError("+CGSN")
        return Reply((self.line("+CGSN", self.imei),))

    @command("+NCCID", Op.READ)
    @command("+NCCID", Op.EXECUTE)
    def _card(self, _: Command) -> Reply:
        self.card()
        return Reply((self.line("+NCCID", self.iccid),))

    @command("+CGMR", Op.EXECUTE)
    def _revision(self, _: Command) -> Reply:
        parts = ("SSB,V150R100C10B200SP1", "APPLICATION_A,V150R100C20B300SP5")
        return Reply((self.modem.fota.version, *parts))

    @command("+NRB", Op.EXECUTE)
    def _reboot(self, _: Command) -> Reply:
        return Reply(("REBOOTING",), self.modem.restart, final="")

    def on_connection(self) -> None:
        """As Family.on_connection, told by CSCON."""
        if not self.tells_connection:
            return
        connected = self.modem.air.connected
        if connected is not self._told_connected:
            self._told_connected = connected
            self.urc("+CSCON", int(connected))
        end_us = self.modem.air.idle_at_us
        if connected and end_us != self._end_us:
            self._end_us = end_us
            self.modem.air.later(end_us, self.on_connection)

    @command("+CSCON", Op.SET)
    def _tell_connection(self, command: Command) -> Reply:
        self.tells_connection = command.number(0, 0, 1) == 1
        self._told_connected = self.modem.air.connected
        return Reply(then=self.on_connection)

    @command("+CSCON", Op.READ)
    def _connection(self, _: Command) -> Reply:
        values = (int(self.tells_connection), int(self.modem.air.connected))
        return Reply((self.line("+CSCON", *values),))

    @command("+NPSMR", Op.SET)
    def _tell_psm(self, command: Command) -> Reply:
        self.tells_psm = command.number(0, 0, 1) == 1
        return Reply()

    @command("+NPSMR", Op.READ)
    def _psm_told(self, _: Command) -> Reply:
        values = (1, int(self.modem.saving.in_psm)) if self.tells_psm else (0,)
        return Reply((self.line("+NPSMR", *values),))

    @command("+NBAND", Op.READ)
    def _bands(self, _: Command) -> Reply:
        return Reply((self.line("+NBAND", *(sorted(self.modem.surroundings.bands) or BANDS)),))

    @command("+NBAND", Op.SET)
    def _use_bands(self, command: Command) -> Reply:
        # The manual wants the radio off.
        bands = frozenset(command.number(at, 1, 85) for at in range(len(command.args)))
        if self.modem.radio or not bands or not bands <= set(BANDS):
            raise CommandError()
        every = bands == set(BANDS)
        return Reply(
            then=lambda: self.modem.surroundings.restrict(frozenset() if every else bands)
        )

    @command("+NUESTATS", Op.EXECUTE)
    def _statistics(self, _: Command) -> Reply:
        return Reply(tuple(f"{name}:{value}" for name, value in self._radio()))

    @command("+NUESTATS", Op.SET)
    def _some_statistics(self, command: Command) -> Reply:
        kind = command.bare(0).upper()
        signal, cell = self.modem.signal(), self.modem.network.cell
        if kind == "RADIO":
            return Reply(tuple(f"NUESTATS:RADIO,{name}:{value}" for name, value in self._radio()))
        if kind != "CELL":
            raise GrammarError("+NUESTATS")
        if signal is None or cell is None:
            return Reply()
        levels = (signal.rsrp_dbm, signal.rsrq_db, signal.narrow_rssi_dbm, signal.snr_db)
        tenths = ",".join(str(10 * level) for level in levels)
        return Reply((f"NUESTATS:CELL,{cell.earfcn},{cell.pci},1,{tenths}",))

    def _radio(self) -> list[tuple[str, int]]:
        # Levels in tenths of dBm and dB, times in milliseconds.
        signal, cell = self.modem.signal(), self.modem.network.cell
        there = signal is not None and cell is not None
        seconds = self.modem.ledger.mark().seconds
        return [
            ("Signal power", 10 * signal.rsrp_dbm if signal else UNKNOWN),
            ("Total power", 10 * signal.narrow_rssi_dbm if signal else UNKNOWN),
            ("TX power", 10 * signal.tx_dbm if signal else UNKNOWN),
            ("TX time", int(1000 * seconds.get("tx", 0))),
            ("RX time", int(1000 * seconds.get("rx", 0))),
            ("Cell ID", cell.ci if there and cell else 0xFFFFFFFF),
            ("ECL", signal.ecl if signal and signal.ecl is not None else 255),
            ("SNR", 10 * signal.snr_db if signal else UNKNOWN),
            ("EARFCN", cell.earfcn if there and cell else 0xFFFFFFFF),
            ("PCI", cell.pci if there and cell else 0xFFFF),
            ("RSRQ", 10 * signal.rsrq_db if signal else UNKNOWN),
            ("OPERATOR MODE", 4),
            ("CURRENT BAND", cell.band if there and cell else 0),
        ]
