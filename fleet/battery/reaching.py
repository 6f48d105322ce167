"""A node type's reporting plans, each with how soon a command closes its valve and what it costs:
`reach` over what `hw/` knows.
"""

from typing import NamedTuple

from fleet import schema
from fleet.battery import figures, life, measured, reach
from fleet.battery.life import BatteryError
from fleet.battery.reach import Latency
from fleet.flashing.hardware import load_board, load_node_type
from fleet.wire.quantity import EVENTS


class Reached(NamedTuple):
    """One plan: its latency, charge and energy of the whole node, years of the battery."""

    name: str
    latency: Latency
    daily_mah: float
    daily_j: float
    years: float


class Reaching(NamedTuple):
    """All plans of a node type; `by_itself` in seconds by event, `closing`: what closes."""

    node_type: str
    ecl: int
    cell: str
    plans: tuple[Reached, ...]
    by_itself: dict[str, float]
    closing: frozenset[str]


def of(name: str, ecl: int) -> Reaching:
    """BatteryError for a type without a valve, or that nobody measured at this coverage."""
    node = load_node_type(name)
    board = load_board(node.board)
    if "valve_close" not in board.pins:
        raise BatteryError(f"node type {name} has no valve: {node.board} has no pin for one")
    config = {key: rule[-1] for key, rule in schema.rules(node.role).items()} | dict(node.config)
    found = measured.load(name)
    chip = figures.chip(board.chip)
    drive = float(config["valve_drive_s"])
    plans = []
    for label, period, cycle in _plans():
        made = life.of(name, period, ecl, edrx_s=cycle)
        contact = found.contacts["coap"][f"ecl{ecl}"]
        wait = cycle or float(life.seconds(period))
        latency = reach.remote(wait, contact, chip, drive, config["awake_s"], attach=not cycle)
        budget = made.budget
        joules = budget.daily_mah * 3.6 * budget.battery.volts
        plans.append(Reached(label, latency, budget.daily_mah, joules, budget.years))
    closing = frozenset(EVENTS[code] for code in config["close_on"])
    by_itself = reach.by_itself(config, found.sense, chip, drive)
    return Reaching(name, ecl, made.budget.battery.title, tuple(plans), by_itself, closing)


def _plans() -> list[tuple[str, str, float]]:
    plans = [(f"PSM, {period} report", period, 0.0) for period in reach.PERIODS]
    for cycle in reversed(reach.CYCLES_S):
        word = "paging" if cycle == reach.CYCLES_S[0] else "eDRX"
        plans.append((f"{word} {cycle:g} s, daily report", "daily", cycle))
    return plans
