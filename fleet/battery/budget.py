"""The budget of a battery node, pure: where a day's charge goes, and how long a battery gives it.

Everything is charge, since between battery and chip stands a linear regulator: a milliampere
behind it is one in front of it, whatever the voltage.
"""

from dataclasses import dataclass, replace

from fleet.battery.figures import Battery, Chip
from fleet.battery.measured import Contact, Sense

DAY_S = 86_400
YEAR_DAYS = 365.25
_MC_PER_MAH = 3_600


@dataclass(frozen=True)
class Modem:
    """uA asleep in PSM and mA in the paging rhythm, each at `volts`."""

    name: str
    volts: float
    psm_ua: float
    paging_ma: float  # DRX of 2.56 s, between two reports


@dataclass(frozen=True)
class Plan:
    """How a node lives: seconds between samples and reports, and what else it does.

    `edrx_s` 0: it is not to be reached between reports. `scan_ms` 0: nothing counts in its sleep.
    """

    sample_s: int
    report_s: int
    door: str
    ecl: int
    edrx_s: float = 0.0
    scan_ms: int = 0
    pulses: int = 0  # a day, each two edges, that wake a chip which has no co-processor
    retries: float = 0.05  # contacts that are made once more
    valve_mc: float = 0.0  # one drive of the valve
    valve_per_year: float = 0.0
    leak_ua: float = 0.0  # of the rest of the board
    sample_mc: float = 0.0  # of a sample's sensors


@dataclass(frozen=True)
class Row:
    """One phase: so much charge a day, and what the number rests on."""

    phase: str
    mah: float
    basis: str


@dataclass(frozen=True)
class Budget:
    """All phases of a day, and the years that they leave."""

    rows: tuple[Row, ...]
    battery: Battery

    @property
    def daily_mah(self) -> float:
        """What the node takes, without self-discharge."""
        return sum(row.mah for row in self.rows)

    @property
    def self_mah(self) -> float:
        """What the battery loses a day by itself."""
        return self.battery.capacity_mah * self.battery.self_discharge / YEAR_DAYS

    @property
    def years(self) -> float:
        """Until the usable capacity is gone."""
        usable = self.battery.capacity_mah * self.battery.usable
        return usable / (self.daily_mah + self.self_mah) / YEAR_DAYS


def make(
    battery: Battery, chip: Chip, modem: Modem, sense: Sense, contact: Contact, plan: Plan
) -> Budget:
    """The budget by phase: boot, sense, attach, send, listen, sleep, ulp, valve, and the rest."""
    contacts = DAY_S / plan.report_s * (1 + plan.retries)
    samples = DAY_S / plan.sample_s if plan.sample_s else 0.0
    edges = 0 if plan.scan_ms else 2 * plan.pulses
    quiet = samples + edges  # a report has a wake of its own
    busy, idle = chip.power_ma.busy, chip.power_ma.idle
    again = f"{100 * plan.retries:.0f} % made twice"
    quiet_work, work = (_work_s(chip, turns) for turns in (sense.turns, contact.turns))

    def row(phase: str, mc: float, basis: str) -> Row:
        return Row(phase, mc / _MC_PER_MAH, basis)

    def wait(phase: str, ms: int, why: str) -> Row:
        return row(phase, contacts * ms / 1000 * idle, f"{ms} ms at {idle:g} mA, {why}")

    rows = [
        row(
            "boot",
            (quiet * sense.boot_ms + contacts * contact.boot_ms) / 1000 * busy,
            f"{quiet + contacts:.2f} wakes of {sense.boot_ms} ms at {busy:g} mA",
        ),
        row(
            "sense",
            quiet * (sense.sense_ms / 1000 + quiet_work) * busy,
            f"{quiet:.0f} wakes: {1000 * quiet_work:.0f} ms of the VM's work, imports included,"
            f" {sense.turns} turns of {chip.vm.turn_us:g} us",
        ),
        row(
            "work",
            contacts * (contact.sense_ms / 1000 + work) * busy,
            f"{contacts:.2f} contacts of {1000 * work:.0f} ms: modem's driver, report, seal;"
            f" {again}",
        ),
        wait("attach", contact.attach_ms, "chip: modem wakes, registration, PSM"),
        wait("send", contact.send_ms, "chip: report until its receipt"),
        wait("listen", contact.listen_ms, "chip: items, modem to sleep"),
        row(
            "modem",
            contacts * contact.modem_mj / modem.volts,
            f"{contact.modem_mj} mJ at {modem.volts:g} V in {contact.modem_ms / 1000:.1f} s,"
            f" {contact.up} octets up, {contact.down} down",
        ),
        row("sleep", chip.power_ua.deep_sleep / 1000 * DAY_S, f"{chip.power_ua.deep_sleep:g} uA"),
        _ulp(chip, plan),
        _modem_asleep(modem, plan),
        row(
            "sensors", samples * plan.sample_mc, f"{samples:.0f} samples of {plan.sample_mc:g} mC"
        ),
        row(
            "board",
            plan.leak_ua / 1000 * DAY_S,
            f"{plan.leak_ua:g} uA: see hw/nodes",
        ),
        row(
            "valve",
            plan.valve_mc * plan.valve_per_year / YEAR_DAYS,
            f"{plan.valve_per_year:g} drives a year of {plan.valve_mc:g} mC",
        ),
    ]
    return Budget(tuple(each for each in rows if each.mah > 0), battery)


def measured_sleep(budget: Budget, sleep_ua: float, says: str) -> Budget:
    """The same with a sleep that was measured, chip and modem and board together."""
    own = Row("sleep", sleep_ua / 1000 * DAY_S / _MC_PER_MAH, f"{sleep_ua:g} uA, {says}")
    rows = [own if row.phase == "sleep" else row for row in budget.rows]
    return replace(budget, rows=tuple(row for row in rows if row.phase not in _OF_SLEEP))


def slower(budget: Budget, phases: tuple[str, ...], factor: float) -> Budget:
    """The same where these phases cost `factor` times as much: what an estimate is worth."""
    rows = tuple(
        replace(row, mah=row.mah * factor) if row.phase in phases else row for row in budget.rows
    )
    return replace(budget, rows=rows)


def _work_s(chip: Chip, turns: int) -> float:
    return turns * chip.vm.turn_us / 1_000_000


def _ulp(chip: Chip, plan: Plan) -> Row:
    added = chip.power_ua.ulp_at_10ms
    if added is None or not plan.scan_ms:
        return Row("ulp", 0.0, "")
    ua = added * 10 / plan.scan_ms
    return Row(
        "ulp", ua * DAY_S / 1000 / _MC_PER_MAH, f"{ua:.1f} uA, a look every {plan.scan_ms} ms"
    )


_OF_SLEEP = ("ulp", "modem asleep", "board")  # what a meter sees of a sleeping board in one
# By coverage level, how much longer a paging occasion is: repetitions of NPDCCH (E).
_PAGING = (1, 4, 16)
_DRX_S = 2.56
_WINDOW_S = 10.24


def _modem_asleep(modem: Modem, plan: Plan) -> Row:
    ua = modem.psm_ua
    basis = f"{ua:g} uA in PSM"
    if plan.edrx_s:
        occasions = max(1.0, min(_WINDOW_S, plan.edrx_s) / _DRX_S)
        ua += 1000 * modem.paging_ma * _DRX_S * occasions * _PAGING[plan.ecl] / plan.edrx_s
        basis = f"{ua:.1f} uA in eDRX of {plan.edrx_s:g} s, window {_WINDOW_S} s"
    return Row("modem asleep", ua * DAY_S / 1000 / _MC_PER_MAH, basis)
