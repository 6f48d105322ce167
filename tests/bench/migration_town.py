"""A utility's terminals for the migration campaign: its inventory as a file, right and wrong."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fleet.migration.rehearsal.flows import mix
from fleet.registry.luhn import luhn_digit

AREA = "440106"
METERS = 4  # behind each DTU
BAD = 50  # permille of the lines
# Of a hundred terminals: gas by CJ/T 188, gas by Modbus, drainage, environment; the rest are DTUs
# with electricity meters on their lines.
_SHARES = ((40, "cjt188"), (60, "modbus"), (85, "sl651"), (95, "hj212"), (100, "dlt645"))
_KINDS = {
    "cjt188": "gas-meter", "modbus": "gas-meter", "sl651": "drainage", "hj212": "environment",
    "dlt645": "gateway",
}  # fmt: skip
_SOCKET, _SOLDERED = "86722304", "86899104"  # types of terminals, by TAC
RULES_AHEAD = """[[rule]]
name = "mains-static"
bearer = "Cat1"
when = "power = mains and mobility = static and site_state = in-use"
because = { en = "mains, static", zh = "市电，固定" }

"""


class Town(NamedTuple):
    """`lines` are the inventory as it is first, `corrected` the lines that are sent again later;
    `identities`: by number, the true IMEI where the list has a wrong one.
    """

    lines: list[dict[str, Any]]
    corrected: list[dict[str, Any]]
    meters: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    identities: dict[str, str]
    bad: dict[str, list[str]]  # what is wrong -> numbers


def imei(number: int, tac: str) -> str:
    """A right one, of its own for each number."""
    digits = f"{tac}{number:06d}"
    return digits + luhn_digit(digits)


def make(count: int, seed: int = 1) -> Town:
    """So many terminals."""
    lines, meters, samples = [], [], []
    for n in range(1, count + 1):
        share = mix(seed, n, 1) % 100
        protocol = next(name for most, name in _SHARES if share < most)
        line = _line(n, protocol, count, seed)
        lines.append(line)
        if protocol == "dlt645":
            meters += [
                {
                    "terminal": line["terminal"], "asset": f"E{n}-{place}",
                    "kind": "electricity-meter", "address": f"{n:08d}{place:04d}",
                }
                for place in range(1, METERS + 1)
            ]  # fmt: skip
        if n % 2 == 0:  # the others are covered by their neighbours
            samples.append(_sample(line, n, seed))
    town = Town(lines, [], meters, samples, {}, {})
    _spoil(town, count, seed)
    return town


def _line(n: int, protocol: str, count: int, seed: int) -> dict[str, Any]:
    kind = _KINDS[protocol]
    street = f"{AREA}{n * max(1, count // 200) // (count + 1) + 1:03d}"
    tac = _SOCKET if mix(seed, n, 2) % 10 == 0 and kind != "gateway" else _SOLDERED
    line: dict[str, Any] = {
        "terminal": f"T{n:06d}", "asset": f"A{n:06d}", "kind": kind, "site": f"house {n}",
        "area": street, "area name": f"street {street}", "imei": imei(n, tac),
        "iccid": f"898600{n:014d}", "operator": "cmcc", "bearer": "2g", "power": "battery",
        "mobility": "static", "voice": "no", "bytes per day": 400, "reports per day": 1,
        "latency s": 86400, "protocol": protocol, "address": "", "sim kind": "plastic",
        "latitude": f"23.{1000000 + n * 300:07d}", "longitude": "113.3300000", "unit": "",
        "decimals": "", "digits": "", "index": "", "site state": "in-use", "sim lock": "free",
    }  # fmt: skip
    if protocol == "cjt188":
        line |= {"unit": "m3", "decimals": 2, "digits": 8}
    elif protocol == "modbus":
        line |= {"unit": "m3", "decimals": 1, "digits": 6}
    elif protocol == "sl651":
        line |= {"address": f"{n:010d}", "reports per day": 24, "bytes per day": 3000}
    elif protocol == "hj212":
        line |= {"address": f"KAPOK{n:019d}", "power": "mains", "bytes per day": 20000}
    else:
        line |= {"power": "mains"}
    return line


def _sample(line: dict[str, Any], n: int, seed: int) -> dict[str, Any]:
    ecl = (0, 0, 0, 1, 1, 2)[mix(seed, n, 3) % 6]
    return {
        "terminal": line["terminal"], "operator": "cmcc", "bearer": "nb", "rsrp": -95 - 12 * ecl,
        "ecl": ecl, "cell": f"{int(line['area']) % 1000:X}", "at": "2026-11-20 08:00:00",
    }  # fmt: skip


def _spoil(town: Town, count: int, seed: int) -> None:
    """Of each kind of mistake a quarter: of an IMEI two lines, a wrong index, a dead site, a card
    that is bound.
    """
    each = max(1, count * BAD // 4000)
    order = sorted(range(count), key=lambda place: mix(seed, place, 4))
    rest = iter(order)
    gas = (place for place in rest if town.lines[place]["kind"] == "gas-meter")
    for _ in range((each + 1) // 2):  # two lines each
        one, other = next(gas), next(gas)
        for place in (one, other):
            line = town.lines[place]
            town.identities[line["terminal"]] = line["imei"]
            town.corrected.append(dict(line))
            _note(town, "imei-twice", line)
        town.lines[other]["imei"] = town.lines[one]["imei"]
    for _ in range(each):
        line = town.lines[next(gas)]
        # More places than its dial has, or decimals that it has not.
        line["index"] = "1234567890.1" if mix(seed, each) % 2 else "12.3456"
        _note(town, "index", line)
    for _ in range(each):
        line = town.lines[next(gas)]
        line["site state"] = "dead"
        _note(town, "dead", line)
    for _ in range(each):
        line = town.lines[next(gas)]
        line |= {"sim lock": "bound", "imei": imei(int(line["terminal"][1:]), _SOCKET)}
        _note(town, "sim-bound", line)


def _note(town: Town, what: str, line: Mapping[str, Any]) -> None:
    town.bad.setdefault(what, []).append(line["terminal"])


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """As a CSV file."""
    lines = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    return path


def write_all(folder: Path, town: Town) -> None:
    """The files that the utility has."""
    write(folder / "terminals.csv", town.lines)
    write(folder / "corrected.csv", town.corrected)
    nobody = dict.fromkeys(("terminal", "asset", "kind", "address"), "")
    write(folder / "meters.csv", town.meters or [nobody])
    write(folder / "samples.csv", town.samples)
    write(
        folder / "tacs.csv",
        [
            {"tac": _SOCKET, "model": "G2", "bearers": "2g", "module": "socket"},
            {"tac": _SOLDERED, "model": "G1", "bearers": "2g", "module": "soldered"},
        ],
    )
