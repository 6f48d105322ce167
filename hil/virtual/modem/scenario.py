"""Scenarios: the air, the network, the SIM, the supply and the line of one modem, as TOML.

A scenario says beforehand whether a report can be delivered in it, and if not, why.
"""

from dataclasses import dataclass, field
from pathlib import Path

from hil.virtual.modem import cat1, nbiot
from hil.virtual.modem.air import AirOptions
from hil.virtual.modem.cat1 import Cat1Link
from hil.virtual.modem.faults import LineFaults
from hil.virtual.modem.fota import FAULTS, FotaOptions
from hil.virtual.modem.nat import NatOptions
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.modem.radio import Link
from hil.virtual.modem.saving import Grants
from hil.virtual.modem.sim import SimOptions
from hil.virtual.modem.supply import SupplyOptions
from hil.virtual.modem.surroundings import Heard
from hil.virtual.modem.tables import Table, TableError, read
from hil.virtual.modem.timeline import ACTIONS, TRIGGERS, Event

__all__ = ["Scenario", "TableError", "load", "shipped"]

NBIOT, CAT1, ANY = "nb-iot", "lte-cat1", "any"
# Coupling losses in dB by quality, for either technology.
QUALITIES = {
    "good": {NBIOT: nbiot.GOOD_DB, CAT1: cat1.GOOD_DB},
    "poor": {NBIOT: nbiot.POOR_DB, CAT1: cat1.POOR_DB},
}
DAY_S = 86_400
EMM_CAUSES = (2, 111)
MOST_S = 31 * 320 * 3600  # T3412's largest value


@dataclass(frozen=True)
class Scenario:
    """`technology` is the one that it is meant for; a twin of another takes it as well.

    `reasons`: names of the driver's errors (firmware/node/errors.py), one of which is expected
    where `delivery` is impossible.
    """

    name: str = "default"
    about: str = ""
    technology: str = ANY
    delivery: bool = True
    reasons: tuple[str, ...] = ()
    quality: str = "good"
    coupling_loss_db: float | None = None
    attach_delay_s: tuple[float, float] = (20.0, 40.0)
    refuse: int | None = None
    refuse_first: tuple[int, ...] = ()
    chatter: float = 0.05
    air: AirOptions = field(default_factory=AirOptions)
    nat: NatOptions = field(default_factory=NatOptions)
    sim: SimOptions = field(default_factory=SimOptions)
    grants: Grants = field(default_factory=Grants)
    supply: SupplyOptions = field(default_factory=SupplyOptions)
    line: LineFaults = field(default_factory=LineFaults)
    fota: FotaOptions = field(default_factory=FotaOptions)
    cells: tuple[Heard, ...] = ()
    events: tuple[Event, ...] = ()

    def link(self, technology: str) -> Link:
        """The radio link for a module of this technology, "nb-iot" or "lte-cat1"."""
        loss_db = self.coupling_loss_db
        if loss_db is None:
            loss_db = QUALITIES[self.quality][technology]
        return NbIotLink(loss_db) if technology == NBIOT else Cat1Link(loss_db)


def folder() -> Path:
    """Where the scenarios are that come with this package."""
    return Path(__file__).resolve().parents[2] / "scenarios"


def shipped() -> list[Path]:
    """The scenarios that come with this package, by name."""
    return sorted(folder().glob("*.toml"))


def load(path: Path) -> Scenario:
    """The scenario in a file; TableError, a ValueError of one line, for anything wrong in it."""
    top = read(path)
    about = top.text("about", "")
    technology = top.choice("technology", ANY, (NBIOT, CAT1, ANY))
    delivery = top.flag("delivery", True)
    reasons = top.texts("reason") or ()
    if delivery == bool(reasons):
        raise top.fail("reason", "goes with delivery = false, and only with it")
    radio, network, uart = top.table("radio"), top.table("network"), top.table("uart")
    udp = top.table("udp")
    scenario = Scenario(
        name=path.stem,
        about=about,
        technology=technology,
        delivery=delivery,
        reasons=reasons,
        quality=radio.choice("quality", "good", tuple(QUALITIES)),
        coupling_loss_db=radio.maybe_number("coupling_loss_db", 60, 200),
        air=_air(radio, udp),
        nat=_nat(udp),
        attach_delay_s=network.pair("attach_delay_s", (20.0, 40.0), 3600),
        refuse=network.maybe_whole("refuse", *EMM_CAUSES),
        refuse_first=network.wholes("refuse_first", *EMM_CAUSES),
        sim=_sim(top.table("sim")),
        grants=_grants(top.table("psm"), top.table("edrx")),
        supply=_supply(top.table("supply")),
        chatter=uart.number("chatter", 0.05, 0, 1),
        line=_line(uart),
        fota=_fota(top.table("fota")),
        cells=tuple(_cell(table) for table in top.tables("cell")),
        events=tuple(_event(table) for table in top.tables("event")),
    )
    for table in (radio, udp, network, uart, top):
        table.done()
    return scenario


def _air(radio: Table, udp: Table) -> AirOptions:
    return AirOptions(
        inactivity_s=radio.number("inactivity_s", 10.0, 0, 3600),
        loss=radio.number("loss", 0.0, 0, 1),
        delay_s=radio.number("delay_ms", 0.0, 0, 60_000) / 1000,
        duplicate=udp.number("duplicate", 0.0, 0, 1),
        reorder=udp.number("reorder", 0.0, 0, 1),
        late_s=udp.pair("late_s", AirOptions.late_s, 3600),
    )


def _nat(udp: Table) -> NatOptions:
    return NatOptions(
        timeout_s=udp.number("nat_timeout_s", NatOptions.timeout_s, 0, DAY_S),
        addresses=udp.whole("nat_addresses", NatOptions.addresses, 1, 250),
    )


def _sim(table: Table) -> SimOptions:
    options = SimOptions(
        present=table.flag("present", True),
        pin=table.text("pin", ""),
        puk=table.text("puk", "12345678"),
        bound_imei=table.text("bound_imei", "") or None,
        whitelist=table.texts("whitelist"),
        plan_bytes=table.maybe_whole("plan_bytes", 0, 1 << 40),
    )
    table.done()
    return options


def _grants(psm: Table, edrx: Table) -> Grants:
    grants = Grants(
        psm=psm.flag("accept", True),
        tau_s=psm.maybe_whole("tau_s", 2, MOST_S),
        active_s=psm.maybe_whole("active_s", 0, 11_160),
        edrx=edrx.flag("accept", True),
        cycle_bits=edrx.bits("cycle_bits", 4),
        window_bits=edrx.bits("window_bits", 4) or Grants.window_bits,
    )
    psm.done()
    edrx.done()
    return grants


def _supply(table: Table) -> SupplyOptions:
    options = SupplyOptions(
        ohms=table.number("ohms", 0.0, 0, 1000), volts=table.maybe_number("volts", 0, 60)
    )
    table.done()
    return options


def _line(table: Table) -> LineFaults:
    return LineFaults(
        split=table.maybe_whole("split", 1, 4096),
        merge_ms=table.whole("merge_ms", 0, 0, 5_000),
        deaf_chance=table.number("deaf_chance", 0.0, 0, 1),
        deaf_ms=table.number("deaf_ms", 20.0, 0, 5_000),
        autobaud=table.flag("autobaud", False),
        baud=table.whole("baud", 115_200, 300, 4_000_000),
    )


def _fota(table: Table) -> FotaOptions:
    options = FotaOptions(
        write_s=table.number("write_s", FotaOptions.write_s, 0, 3600),
        fault=table.choice("fault", FotaOptions.fault, FAULTS),
    )
    table.done()
    return options


def _cell(table: Table) -> Heard:
    heard = Heard(
        plmn=table.text("operator", ""),
        band=table.whole("band", 8, 1, 88),
        coupling_loss_db=table.number("coupling_loss_db", nbiot.GOOD_DB, 60, 200),
        name=table.text("name", ""),
        refuse=table.maybe_whole("refuse", *EMM_CAUSES),
    )
    if not (heard.plmn.isascii() and heard.plmn.isdecimal() and 5 <= len(heard.plmn) <= 6):
        raise table.fail("operator", "must be MCC and MNC, such as 46011")
    table.done()
    return heard


def _event(table: Table) -> Event:
    event = Event(
        do=table.choice("do", "", ACTIONS),
        at_s=table.number("at_s", 0.0, 0, 366 * DAY_S),
        on=table.choice("on", "power", TRIGGERS),
        for_s=table.maybe_number("for_s", 0, 366 * DAY_S),
        cause=table.maybe_whole("cause", *EMM_CAUSES),
        times=table.whole("times", 1, 1, 1_000),
    )
    table.done()
    return event
