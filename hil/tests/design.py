"""What a node type's design allows: bounds from the figures of hw/, as `kapok battery` uses them.

Currents in microampere, charge in microcoulombs.
"""

import tomllib
from typing import NamedTuple

from fleet import schema
from fleet.battery import figures, measured
from fleet.flashing.hardware import NodeType, load_board, load_node_type
from fleet.paths import hw_dir
from hil.node import Node

SLEEP_MARGIN = 1.5  # a bound is so many times what the figures say: they are typical ones
WAKE_MARGIN = 2.0
MOST_AWAKE_S = 300  # by then it sleeps again, and its modem


class Design(NamedTuple):
    """Of a node type: its figures, put together."""

    kind: NodeType
    chip: figures.Chip
    volts: float
    psm_ua: float
    ulp_ua: float
    found: measured.Measured

    @property
    def sleep_ua(self) -> float:
        """Between two wakes, its modem in PSM."""
        leak = 0.0 if self.kind.supply is None else self.kind.supply.leak_ua
        return self.chip.power_ua.deep_sleep + self.ulp_ua + self.psm_ua + leak

    @property
    def awake_ua(self) -> float:
        """Above this the chip is awake: half of what it draws when it waits."""
        return 500 * self.chip.power_ma.idle

    @property
    def sense_uc(self) -> float:
        """A wake that samples and makes no contact."""
        sense = self.found.sense
        busy_s = (sense.boot_ms + sense.sense_ms) / 1000 + self._work_s(sense.turns)
        return busy_s * 1000 * self.chip.power_ma.busy

    def contact_uc(self, door: str, level: str) -> float:
        """A wake with a day's report."""
        one = self.found.contacts[door][level]
        busy_s = (one.boot_ms + one.sense_ms) / 1000 + self._work_s(one.turns)
        waits_s = (one.attach_ms + one.send_ms + one.listen_ms) / 1000
        power = self.chip.power_ma
        chip = busy_s * power.busy + waits_s * power.idle
        return 1000 * (chip + one.modem_mj / self.volts)

    def _work_s(self, turns: int) -> float:
        return turns * self.chip.vm.turn_us / 1e6

    def default(self, key: str) -> int:
        """Of the configuration."""
        rules = {name: rule[-1] for name, rule in schema.rules(self.kind.role).items()}
        return int((rules | dict(self.kind.config))[key])


def calm(node: Node, seconds: float) -> None:
    """Wait until so long no full hour begins, at which a node wakes by itself."""
    left = 3600 - node.now_us // 10**6 % 3600
    if left <= seconds:
        node.wait(left + MOST_AWAKE_S)


def of(node_type: str) -> Design:
    """By its name in hw/nodes; of a type that was measured (hw/measured)."""
    kind = load_node_type(node_type)
    board = load_board(kind.board)
    chip = figures.chip(board.chip)
    found = measured.load(node_type)
    modem = tomllib.loads((hw_dir() / "modems" / f"{found.modem}.toml").read_text())
    made = Design(
        kind, chip, modem["supply"]["volts"], 1000 * modem["power_ma"]["psm"], 0.0, found
    )
    added = chip.power_ua.ulp_at_10ms
    if added is None or "pulse" not in board.pins:
        return made
    return made._replace(ulp_ua=added * 10 / made.default("scan_ms"))
