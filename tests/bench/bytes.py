"""What one report costs on the air, by door: `make bench-bytes`.

The real firmware on virtual boards against a real `kapok serve`; octets of IP packets and energy
are counted on the air side of the modem twins. The nodes are in their seventh year (aged.py) and
in the steady state: registered, in PSM between two reports, the fleet's address known, so that
there is no DNS. Energy is the modem's from the wake to PSM, without what PSM itself takes.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.node import VirtualNode, mac_of
from tests.bench import aged
from tests.bench.air_meter import AirMeter, Contact

AREA = ("440106", "Tianhe")
START_US = 1_795_392_000 * scenes.SECOND  # 2026-11-23 00:00:00 UTC
HOST = "127.0.0.1"
COVERAGE = (("ECL0", 144.0), ("ECL1", 154.0), ("ECL2", 164.0))
FAMILIES = ("bc660k", "bc95")
DOORS = ("coap", "mqtt")
REPORTS = 5  # the mean of so many: random access, block errors and signatures are by chance
DAY = 24
SPLIT = 48  # records of one report; those beyond go into a second one on the same door
WAIT_S = 120.0  # real
# Reports go by their number of records alone, and PSM begins as soon as the radio is released.
CONFIG = {"report_s": 604_800, "tau_s": 604_800, "active_s": 0, "awake_s": 600, "attach_s": 300}
CONFIG["ledger_s"] = 0  # a record of its own a day; the table is of readings
CONFIG["leak_l_h"] = 0  # and so is what the gas meter sees in a scene that uses gas day and night


class Target(NamedTuple):
    """Most octets."""

    up: int
    down: int | None = None


class Octets(NamedTuple):
    """Means of some contacts, and the most of any."""

    up: float
    down: float
    most_up: int
    most_down: int


ONE, ONE_DAY = Target(75, 52), Target(96)


@dataclass(frozen=True)
class Row:
    """Octets of one report by one door; None where there is no target."""

    door: str
    what: str
    records: int
    octets: Octets
    target: Target | None = None

    @property
    def missed(self) -> bool:
        """Whether any report missed the target."""
        wanted, had = self.target, self.octets
        if wanted is None:
            return False
        return had.most_up > wanted.up or (wanted.down is not None and had.most_down > wanted.down)

    def line(self) -> str:
        """The row as a line of the table."""
        told = ""
        if self.target is not None:
            told = f"<= {self.target.up} up"
            told += "" if self.target.down is None else f", <= {self.target.down} down"
            told += ": missed" if self.missed else ": met"
        had, each = self.octets, self.octets.up / self.records
        numbers = f"{had.up:>7.0f}{had.most_up:>6}{had.down:>8.0f}{had.most_down:>6}{each:>9.1f}"
        return f"{self.door:<6}{self.what:<32}{numbers}  {told}"


class Cost(NamedTuple):
    """Of one report, a mean."""

    mj: float
    awake_s: float


class Town:
    """A fleet in `folder`, and nodes that stand still unless they are measured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fleet = FleetProcess(
            folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0"
        )
        self._addresses: dict[str, Any] = {}

    async def __aenter__(self) -> "Town":
        await self._fleet.command("init")
        await self._fleet.command("area", "add", *AREA)
        self._addresses = await self._fleet.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._fleet.stop()

    @contextlib.asynccontextmanager
    async def node(
        self, family: str, door: str, records: int, scene: scenes.Scene | None = None
    ) -> AsyncIterator[tuple[VirtualNode, AirMeter]]:
        """A gas meter that reports whenever it has so many records; its first contact is over."""
        name = f"{family} {door} {records}"
        scene = scene or scenes.Scene("gas-meter", f"esp32s3-{family}", {}, START_US)
        meter = AirMeter()
        node = VirtualNode(self._folder / name, mac_of(name), scene, pace=meter)
        credentials = await enrol(self._fleet, node.node_id, "gas-meter", AREA[0])
        port = self._addresses["coap_port" if door == "coap" else "broker_port"]
        more = {**CONFIG, "door": door, "report_records": records}
        node.provision(credentials, HOST, port, **more)
        aged.before_start(node)
        meter.node = node
        node.board.start()
        try:
            await meter.contacts(1, WAIT_S)
            aged.while_asleep(node.board)
            await meter.contacts(1, WAIT_S)
            yield node, meter
        except TimeoutError:
            raise RuntimeError(f"{name}: no contact\n{node.board.console_tail}") from None
        finally:
            await node.board.stop()


def octets(contacts: list[Contact], records: int) -> Octets:
    """Of contacts that delivered so many records each; RuntimeError where one did not."""
    for contact in contacts:
        if (contact.stored, contact.depth) != (records, 0):
            raise RuntimeError(f"not {records} records with their receipt: {contact}")
    ups, downs = [c.up for c in contacts], [c.down for c in contacts]
    return Octets(mean(ups), mean(downs), max(ups), max(downs))


async def one_reading(town: Town, family: str) -> tuple[list[Row], dict[str, list[Cost]]]:
    """A report of one record by each door: octets at ECL0, energy by coverage."""
    rows: list[Row] = []
    costs: dict[str, list[Cost]] = {}
    for door in DOORS:
        async with town.node(family, door, 1) as (node, meter):
            costs[door] = []
            for name, loss_db in COVERAGE:
                node.twin.link = NbIotLink(loss_db)
                found = await meter.contacts(REPORTS, WAIT_S)
                had = octets(found, 1)
                costs[door].append(Cost(mean(c.mj for c in found), mean(c.awake_s for c in found)))
                if name == COVERAGE[0][0]:
                    coap = door == "coap"
                    what = "one reading" + ("" if coap else ", full TLS handshake")
                    rows.append(Row(door, what, 1, had, ONE if coap else None))
    return rows, costs


async def one_day(town: Town) -> Row:
    """24 hourly freezes of a register that goes on by day and by night, in one datagram."""
    scene = scenes.gas_meter(START_US, 1)
    scene.config["freeze_days"] = 0  # which is one reading more
    async with town.node("bc660k", "coap", DAY, scene) as (_, meter):
        found = await meter.contacts(REPORTS, WAIT_S)
        return Row("coap", "24 hourly readings", DAY, octets(found, DAY), ONE_DAY)


async def kept_session(town: Town) -> Row:
    """What a second report on an open MQTT door adds: a contact with it less one without."""
    totals = []
    for records in (SPLIT, SPLIT + 1):
        async with town.node("bc660k", "mqtt", records) as (_, meter):
            totals.append(octets(await meter.contacts(REPORTS, WAIT_S), records))
    # The handshakes of both differ by a few octets of their signatures: only the means tell.
    up, down = totals[1].up - totals[0].up, totals[1].down - totals[0].down
    return Row("mqtt", "one reading, session kept", 1, Octets(up, down, round(up), round(down)))


async def run(families: tuple[str, ...]) -> bool:
    """Print both tables; whether every target is met."""
    with tempfile.TemporaryDirectory(prefix="kapok-bytes-") as folder:
        async with Town(Path(folder)) as town:
            rows: list[Row] = []
            costs: dict[str, dict[str, list[Cost]]] = {}
            for family in families:
                found, costs[family] = await one_reading(town, family)
                rows += found if not rows else []
            rows.insert(1, await one_day(town))
            rows.append(await kept_session(town))
    print("Octets on the air with their IP and UDP or TCP headers; a gas meter in its 7th year")
    head = f"{'up':>7}{'most':>6}{'down':>8}{'most':>6}{'up each':>9}"
    print(f"{'door':<6}{'report':<32}{head}  target")
    for row in rows:
        print(row.line())
    print("\nEnergy of a report of one reading, modem only, from its wake to PSM")
    print(
        f"{'family':<9}{'cover':<6}{'loss dB':>8}{'coap mJ':>9}{'s':>6}{'mqtt mJ':>9}{'s':>6}"
        f"{'mqtt/coap':>11}"
    )
    for family, by_door in costs.items():
        for (name, loss_db), coap, mqtt in zip(COVERAGE, *by_door.values(), strict=True):
            print(
                f"{family:<9}{name:<6}{loss_db:>8.0f}{coap.mj:>9.0f}{coap.awake_s:>6.1f}"
                f"{mqtt.mj:>9.0f}{mqtt.awake_s:>6.1f}{mqtt.mj / coap.mj:>11.1f}"
            )
    return not any(row.missed for row in rows)


def main() -> int:
    """Exit code 0 when every target is met."""
    parser = argparse.ArgumentParser(prog="make bench-bytes")
    parser.add_argument("families", nargs="*", default=FAMILIES, help="for the energy: NB-IoT's")
    return 0 if asyncio.run(run(tuple(parser.parse_args().families))) else 1


if __name__ == "__main__":
    sys.exit(main())
