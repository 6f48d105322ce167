"""The codes of SL 651-2014: functions, ends, classes of stations, state bits, elements."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

STX, SYN = 0x02, 0x16
ETX, ETB, ENQ, EOT, ACK, NAK, ESC = 0x03, 0x17, 0x05, 0x04, 0x06, 0x15, 0x1B
ENDS = {
    ETX: "ETX", ETB: "ETB", ENQ: "ENQ", EOT: "EOT", ACK: "ACK", NAK: "NAK", ESC: "ESC",
}  # fmt: skip
UP_ENDS, DOWN_ENDS = (ETX, ETB), (ENQ, EOT, ACK, NAK, ESC)
KEEP_ALIVE, TEST, UNIFORM, TIMED, ALARM, HOURLY, MANUAL, PICTURE = range(0x2F, 0x37)
FUNCTIONS = {
    0x2F: "keep-alive", 0x30: "test", 0x31: "uniform intervals", 0x32: "timed report",
    0x33: "additional report", 0x34: "hourly report", 0x35: "manual values", 0x36: "picture",
    0x37: "query of present values", 0x38: "query of a period", 0x39: "query of manual values",
    0x3A: "query of some elements", 0x40: "change basic configuration",
    0x41: "read basic configuration", 0x42: "change operating parameters",
    0x43: "read operating parameters", 0x44: "query of pump motors", 0x45: "software version",
    0x46: "state and alarms", 0x47: "initialise storage", 0x48: "restore factory settings",
    0x49: "change password", 0x4A: "set clock", 0x4B: "set IC card", 0x4C: "pumps",
    0x4D: "valves", 0x4E: "gates", 0x4F: "fixed amount of water", 0x50: "query of events",
    0x51: "query of the clock",
}  # fmt: skip
CLASSES = {
    0x50: "rain", 0x48: "river", 0x4B: "reservoir or lake", 0x5A: "gate or dam",
    0x44: "pumping station", 0x54: "tide", 0x4D: "soil moisture", 0x47: "groundwater",
    0x51: "water quality", 0x49: "intake", 0x4F: "outfall",
}  # fmt: skip
# Table 58: (key, word for 0, word for 1) from bit 0.
STATE_BITS = (
    ("mains", "normal", "lost"), ("battery", "normal", "low"), ("level_limit", "normal", "alarm"),
    ("flow_limit", "normal", "alarm"), ("quality_limit", "normal", "alarm"),
    ("flow_meter", "normal", "fault"), ("level_gauge", "normal", "fault"),
    ("box_door", "open", "closed"), ("storage", "normal", "fault"),
    ("ic_card", "off", "valid"), ("pump", "running", "stopped"),
    ("water_left", "normal", "over the limit"),
)  # fmt: skip
# Table 82: how often, from ERC1.
EVENTS = (
    "history_initialised", "parameters_changed", "state_changed", "sensor_fault",
    "password_changed", "terminal_fault", "mains_lost", "battery_low", "box_opened", "pump_fault",
    "water_left_alarm", "level_alarm", "pressure_alarm", "quality_alarm", "data_error",
    "reports_sent", "reports_received", "reports_failed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """An element or a parameter by its identifier."""

    key: str
    unit: str
    name: str


@cache
def elements() -> dict[int, Element]:
    """Annex C, by identifier."""
    return {
        int(row["code"], 16): Element(row["key"], row["unit"], row["en"])
        for row in _rows("elements")
    }


@cache
def parameters() -> dict[int, Element]:
    """Table D.4, by identifier."""
    return {
        int(row["code"], 16): Element(f"parameter_{row['code']}", row["unit"], row["en"])
        for row in _rows("parameters")
    }


def _rows(what: str) -> list[dict[str, str]]:
    path = Path(__file__).with_name(f"sl651_{what}.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
