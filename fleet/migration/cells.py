"""Load that a plan brings to each NB-IoT cell: devices, airtime in the busiest hour, a storm."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration.survey_tables import Coverage
from fleet.registry.tables import Asset, Installation, Site, Terminal

HEADINGS = ["operator", "cell", "terminals", "nodes", "busy hour", "storm", ""]


class Demand(NamedTuple):
    """One terminal on a cell; a cell that no log names is its street, `area:440106001`."""

    operator: str
    cell: str
    ecl: int
    reports_day: int
    is_node: bool = False


class Load(NamedTuple):
    """`busy_permille` of the cell's airtime in its busiest hour; `storm_s`: how long the cell
    needs if all report at once, as meters without a spread do at midnight.
    """

    operator: str
    cell: str
    terminals: int
    nodes: int
    ecl2: int
    busy_permille: int
    storm_s: int
    overload: str  # devices, airtime, or nothing

    def row(self) -> list[str]:
        """For a table with HEADINGS."""
        busy = f"{self.busy_permille // 10}.{self.busy_permille % 10} %"
        return [
            self.operator, self.cell, str(self.terminals), str(self.nodes), busy,
            f"{self.storm_s} s", f"overload: {self.overload}" if self.overload else "",
        ]  # fmt: skip


def load(demands: Iterable[Demand], limits: Mapping[str, Any]) -> list[Load]:
    """Of each cell, the busiest first. `limits`: [cells] of the rules.

    What reports seldom is spread over `window_h` hours (each node's moment is a hash of its id);
    what reports every hour or more often is spread by itself.
    """
    several: dict[tuple[str, str], list[Demand]] = defaultdict(list)
    for one in demands:
        several[one.operator, one.cell].append(one)
    found = [_load(key, group, limits) for key, group in several.items()]
    return sorted(found, key=lambda one: (-one.busy_permille, -one.terminals, one.cell))


def _load(key: tuple[str, str], group: list[Demand], limits: Mapping[str, Any]) -> Load:
    airtime: list[int] = limits["airtime_ms"]
    hour_ms = limits["tones"] * 3_600_000
    # In 1/24 of a report, so that whole numbers stay exact.
    busy = sum(airtime[one.ecl] * _busiest(one.reports_day, limits["window_h"]) for one in group)
    permille = busy * 1000 // (24 * hour_ms)
    storm_s = -(-sum(airtime[one.ecl] for one in group) // (limits["tones"] * 1000))
    overload = ""
    if len(group) > limits["devices"]:
        overload = "devices"
    elif permille > limits["busy_permille"]:
        overload = "airtime"
    nodes = sum(one.is_node for one in group)
    ecl2 = sum(one.ecl == 2 for one in group)
    return Load(*key, len(group) - nodes, nodes, ecl2, permille, storm_s, overload)


def _busiest(reports_day: int, window_h: int) -> int:
    """Reports in the busiest hour, in 1/24."""
    if reports_day >= 24:
        return reports_day
    return min(reports_day * 24, reports_day * 24 // min(window_h, 24) or 1)


def of_nodes(session: Session, scope: str) -> list[Demand]:
    """Our own nodes that are on the cells of an area already, at a report a day each."""
    rows = session.execute(
        select(Coverage.operator, Coverage.cell, Coverage.ecl, Site.area_code, func.count())
        .join(Site, Site.id == Coverage.site_id)
        .join(Asset, Asset.site_id == Site.id)
        .join(Installation, Installation.asset_id == Asset.id)
        .join(Terminal, Terminal.id == Installation.open_for)
        .where(
            within(Site.area_code, scope), Terminal.kind == "node", Coverage.bearer == "nb",
            Coverage.ecl.is_not(None), Coverage.by == "own",
        )
        .group_by(Coverage.operator, Coverage.cell, Coverage.ecl, Site.area_code)
    )  # fmt: skip
    return [
        Demand(operator, cell or named(area), ecl or 0, 1, True)
        for operator, cell, ecl, area, count in rows
        for _ in range(count)
    ]


def named(area: str) -> str:
    """What stands for the cells of a street where nobody knows them."""
    return f"area:{area}"
