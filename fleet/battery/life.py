"""From a node type's name and a plan in words to its budget: what `hw/` knows, put together."""

import re
import tomllib
from typing import Any, NamedTuple

from fleet import schema
from fleet.battery import budget, figures, measured, onboard
from fleet.battery.budget import Budget, Modem, Plan
from fleet.battery.onboard import OnBoard
from fleet.errors import Refusal
from fleet.flashing.hardware import NodeType, load_board, load_node_type
from fleet.paths import hw_dir

PLANS = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800}
_PLAN = re.compile(r"([1-9][0-9]{0,3})([hd])")
_UNITS = {"h": 3_600, "d": 86_400}
_DRX = "light_sleep"  # of hw/modems: idle in the paging rhythm of 2.56 s


class BatteryError(Refusal, ValueError):
    """Nothing can be computed; one line says why."""


class Life(NamedTuple):
    """A budget, and the plan that it is of. `on_board`: what of it a bench measured on a board;
    None: currents and speed are the estimates of hw/chips.
    """

    budget: Budget
    plan: Plan
    node: NodeType
    chip: str
    modem: str
    on_board: OnBoard | None = None


def seconds(text: str) -> int:
    """A plan's period: "hourly", "daily", "weekly", "6h" or "2d"; BatteryError."""
    if text in PLANS:
        return PLANS[text]
    found = _PLAN.fullmatch(text)
    if found is None or not 60 <= (s := int(found[1]) * _UNITS[found[2]]) <= 604_800:
        raise BatteryError(f"plan {text[:20]!r}: hourly, daily, weekly, or as 6h, 2d")
    return s


def of(
    name: str, report: str, ecl: int, *, sample: str = "", door: str = "coap", battery: str = "",
    edrx_s: float = 0.0, pulses: int = 0,
) -> Life:  # fmt: skip
    """The life of a node type; `sample` and `battery` by default those of the type."""
    node = load_node_type(name)
    if node.supply is None:
        raise BatteryError(f"node type {name} lives from the mains: it has no [supply]")
    found = measured.load(name)
    try:
        contact = found.contacts[door][f"ecl{ecl}"]
    except KeyError:
        raise BatteryError(
            f"{name} was not measured by {door} at ECL{ecl}: make measure"
        ) from None
    board = load_board(node.board)
    chip = figures.chip(board.chip)
    on_board = onboard.load(board.name)
    if on_board is not None:
        chip = on_board.better(chip)
    modem = _modem(found.modem)
    config = _defaults(node)
    counts = "pulse" in board.pins and chip.power_ua.ulp_at_10ms is not None
    period = seconds(sample) if sample else config.get("sample_s", 3_600)
    plan = Plan(
        sample_s=period or 3_600, report_s=seconds(report), door=door, ecl=ecl, edrx_s=edrx_s,
        scan_ms=config.get("scan_ms", 20) if counts else 0, pulses=pulses,
        valve_mc=node.supply.valve_mc, valve_per_year=node.supply.valve_per_year,
        leak_ua=node.supply.leak_ua, sample_mc=node.supply.sample_mc,
    )  # fmt: skip
    cell = figures.battery(battery or node.supply.battery)
    made = budget.make(cell, chip, modem, found.sense, contact, plan)
    # A node that is to be reached between its reports was not measured: see `_modem_asleep`.
    if on_board is not None and on_board.current.sleep_ua is not None and not edrx_s:
        made = budget.measured_sleep(made, on_board.current.sleep_ua, on_board.says)
    return Life(made, plan, node, chip.name, modem.name, on_board)


def _defaults(node: NodeType) -> dict[str, Any]:
    rules = schema.rules(node.role)
    return {key: rule[-1] for key, rule in rules.items()} | dict(node.config)


def _modem(name: str) -> Modem:
    table = tomllib.loads((hw_dir() / "modems" / f"{name}.toml").read_text())
    draws = table["power_ma"]
    return Modem(name, table["supply"]["volts"], 1000 * draws["psm"], draws[_DRX])
