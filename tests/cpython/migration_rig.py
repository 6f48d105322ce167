"""A city of old terminals for tests of migrations: inventories and logs as a utility has them."""

import csv
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import fleet_rig as rig
from sqlalchemy import insert

from fleet.db.base import Database
from fleet.migration import entries, inventory, planner, rules, samples, survey
from fleet.migration.inventory import Told
from fleet.migration.inventory_tables import Sunset
from fleet.migration.sheets import Sheet
from fleet.registry import operations as registry
from fleet.registry.luhn import luhn_digit

AREA = "440106001"
TODAY = 20_000  # days since 1970: 2024-10-04


def imei(n: int, tac: str = "86722304") -> str:
    """A right one, of its own for each `n`."""
    digits = f"{tac}{n:06d}"
    return digits + luhn_digit(digits)


def line(n: int = 1, **changes: Any) -> dict[str, Any]:
    """A gas meter on 2G; `changes` by column."""
    return {
        "terminal": f"T{n}", "asset": f"M{n}", "kind": "gas-meter", "site": f"house {n}",
        "area": AREA, "area name": "Shipai", "imei": imei(n), "iccid": f"898600{n:014d}",
        "operator": "cmcc", "bearer": "2g", "power": "battery", "mobility": "static",
        "voice": "no", "bytes per day": 400, "reports per day": 1, "latency s": 86400,
        "latitude": f"23.{1300000 + n * 1000:07d}", "longitude": "113.3300000", **changes,
    }  # fmt: skip


def write(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    """As a CSV file, with all columns that any line has."""
    rows = list(lines)
    names = dict.fromkeys(name for row in rows for name in row)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(names))
        writer.writeheader()
        writer.writerows(rows)
    return path


def bring(database: Database, folder: Path, lines: Iterable[Mapping[str, Any]]) -> list[Told]:
    """Import lines; what became of each."""
    sheet = Sheet(write(folder / "terminals.csv", lines), "terminals", entries.NEEDED)
    return list(inventory.bring_in(database, sheet))


def measure(
    database: Database, folder: Path, lines: Iterable[Mapping[str, Any]], source: str = "log"
) -> list[samples.Taken]:
    """Take in measurements, and compute the coverage of AREA."""
    sheet = Sheet(write(folder / "log.csv", lines), "samples", samples.NEEDED)
    told = list(samples.take(database, sheet, source))
    with database.begin() as session:
        survey.compute(session, AREA, rules.load().coverage)
    return told


def heard(**changes: Any) -> dict[str, Any]:
    """A measurement of NB-IoT; `changes` by column."""
    at = "2026-11-20 08:00:00"
    return {"bearer": "nb", "operator": "cmcc", "rsrp": -112, "ecl": 1, "at": at, **changes}


def open_city(folder: Path) -> Database:
    """A database with the area."""
    database = rig.open_database(folder)
    with database.begin() as session:
        registry.add_area(session, AREA, "Shipai")
    return database


def sunset(database: Database, operator: str, bearer: str, area: str, day: int) -> None:
    """One row of the table."""
    with database.begin() as session:
        row = {"operator": operator, "bearer": bearer, "area": area, "day": day, "source": ""}
        session.execute(insert(Sunset), [row])


def plan(
    database: Database, text: str = "", name: str = "gas", lang: str = "en"
) -> planner.Planned:
    """Plan a programme of AREA by a rules text, by default kapok's own."""
    chosen = rules.read(text) if text else rules.load()
    with database.begin() as session:
        programme = planner.make(session, name, AREA, chosen)
        return planner.plan(session, programme, chosen, lang)


def city(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Terminals of three kinds in streets, as they are in the field."""
    chance = random.Random(seed)
    found = []
    for n in range(1, count + 1):
        kind = chance.choices(["gas-meter", "drainage", "environment"], [80, 15, 5])[0]
        street = f"440106{n * 20 // count + 1:03d}"
        more: dict[str, Any] = {
            "kind": kind, "area": street, "area name": f"street {street}",
            "latitude": f"23.{1300000 + n * 300:07d}",
        }  # fmt: skip
        if kind == "environment":
            more |= {"power": "mains", "bytes per day": 200_000, "reports per day": 1440}
        elif kind == "drainage":
            more |= {"bytes per day": 3000, "reports per day": 24, "access": "mon-fri 09:00-17:00"}
        found.append(line(n, **more))
    return found
