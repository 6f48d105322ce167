"""How a real board is wired on a bench, worked out from its file in hw/boards: each pin of the
node to a pin of the stimulus board (an ESP32-S3), the modem's lines to a USB-UART adapter.

`python -m hil.wiring BOARD` prints it; `--write docs/hil.md` renews the run-book's tables.
"""

import argparse
import enum
import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal
from fleet.flashing.hardware import Board, boards, load_board


class Kind(enum.Enum):
    """What is at the far end of a wire, for people."""

    OUT = "stimulus board, output, through 1 kΩ"
    ANALOG = "stimulus board, PWM through 10 kΩ and 1 µF, then a follower"
    IN = "stimulus board, input, through 1 kΩ"
    BUS = "stimulus board, through a MAX3485 at each end, A to A and B to B"
    TWIN_RX = "USB-UART adapter, RXD"
    TWIN_TX = "USB-UART adapter, TXD, through 4.7 kΩ"
    MODEM = "the modem; open where the twin stands for it"
    SENSOR = "an ultrasonic sensor of type A02YYUW; open without one"
    OWN = "stays on the board"


class WiringRefused(Refusal, ValueError):
    """The board cannot be wired to one stimulus board."""


class Wire(NamedTuple):
    """One wire: the node's pin by name and GPIO, and the stimulus board's, where it goes there."""

    pin: str
    gpio: int
    kind: Kind
    stimulus: int | None


_KINDS = {
    Kind.OUT: "pulse pulse2 pfail wake button gas_call cover shock valve_opened valve_closed rain "
    "water door",
    Kind.ANALOG: "level battery gas valve_ma velocity h2s ch4 supply leakage",
    Kind.IN: "valve_open valve_close relay dim sense",
    Kind.BUS: "bus_tx bus_rx bus_de",
    Kind.TWIN_RX: "tx",
    Kind.TWIN_TX: "rx",
    Kind.MODEM: "reset psm_exit pwrkey dtr cut",
    Kind.SENSOR: "echo ping",
    Kind.OWN: "scl sda",
}
KIND_OF = {pin: kind for kind, pins in _KINDS.items() for pin in pins.split()}

# GPIOs of an ESP32-S3-DevKitC-1 that are free: no strapping pin (0, 3, 45, 46), no USB (19, 20),
# no flash or octal PSRAM (26 to 37), no UART0 (43, 44). ESP32-S3 datasheet, table 2-1.
_POOLS = {
    Kind.OUT: (10, 11, 12, 13, 14, 15, 21, 38, 39, 40, 41, 42),
    Kind.ANALOG: (1, 2, 4, 5, 6, 7),
    Kind.IN: (47, 48),
}
# What an analogue input begins with, in mV at the pin, as on the virtual rig: a full lithium cell
# of 3.6 V behind its divider, clean air, and of a post 220 V; for all others no sensor is there.
_RESTS_MV = {"battery": 1800, "gas": 400}
_MAINS_MV = 1650
# Of the stimulus board itself: two INA226 in the node's supply, the finer one first, and its end
# of the RS-485 line.
METER = {"scl": 9, "sda": 8, "ranges": [[0x41, 10_000], [0x40, 100]]}
BUS = {"uart": 1, "tx": 17, "rx": 18, "de": 16}


def wires(board: Board) -> list[Wire]:
    """All wires of a board, in its file's order; WiringRefused for a pin that nobody knows."""
    free = {kind: list(pool) for kind, pool in _POOLS.items()}
    found = []
    for pin, gpio in board.node_pins.items():
        kind = KIND_OF.get(pin)
        if kind is None:
            raise WiringRefused(
                f"{board.name}: pin {pin!r} has no far end: add it to hil/wiring.py"
            )
        if kind in free and not free[kind]:
            raise WiringRefused(f"{board.name}: no pin of the stimulus board is left for {pin}")
        at = free[kind].pop(0) if kind in free else None
        if kind is Kind.BUS:
            at = BUS[pin.removeprefix("bus_")]
        found.append(Wire(pin, gpio, kind, at))
    return found


def channels(board: Board) -> dict[str, dict[str, object]]:
    """The wires as the stimulus board's `wire` request takes them, by the node's pins."""
    at = {wire.pin: wire for wire in wires(board)}
    found: dict[str, dict[str, object]] = {}
    for pin, wire in at.items():
        if wire.kind is Kind.ANALOG:
            found[pin] = {"pwm": wire.stimulus}
            if pin in _RESTS_MV:
                found[pin]["mv"] = _RESTS_MV[pin]
        elif wire.kind is Kind.IN:
            found[pin] = {"in": wire.stimulus}
        elif wire.kind is Kind.OUT and not (pin == "pulse2" and "pulse" in at):
            found[pin] = {"pin": wire.stimulus}
    if "pulse2" in at:  # one wheel turns both
        found["pulse"]["second"] = at["pulse2"].stimulus
    if "relay" in at:
        found["supply"]["mv"] = _MAINS_MV
    if "valve_opened" in at:  # it begins open, as the virtual rig's
        found["valve_opened"]["idle"] = 1
    if "door" in at:  # a post's contacts are closed to ground while all is well (hw/README.md)
        for pin in ("door", "water"):
            found[pin] |= {"drain": True, "idle": 0}
    return found


def resource(board: Board) -> dict[str, object]:
    """What a StimulusBoard of a rig's file says beside its port."""
    found: dict[str, object] = {"channels": channels(board), "meter": METER}
    if "rs485" in board.uarts:
        found["bus"] = BUS
    return found


def table(board: Board) -> str:
    """The wiring for people, in Markdown."""
    lines = ["| node | GPIO | to | GPIO there |", "|---|---|---|---|"]
    for wire in wires(board):
        at = "" if wire.stimulus is None else str(wire.stimulus)
        lines.append(f"| `{wire.pin}` | {wire.gpio} | {wire.kind.value} | {at} |")
    return "\n".join(lines)


def written(text: str) -> str:
    """A page with each board's table between its marks brought up to date."""
    for name in boards():
        begin, end = f"<!-- wiring {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        whole = f"{begin}\n{table(load_board(name))}\n{end}"
        text = pattern.sub(whole.replace("\\", r"\\"), text)
    return text


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m hil.wiring", description=__doc__,
        epilog="Example: python -m hil.wiring esp32s3-bc660k",
    )  # fmt: skip
    parser.add_argument("board", nargs="?", help="a name of hw/boards")
    parser.add_argument("--json", action="store_true", help="for a StimulusBoard of a rig's file")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="bring its tables up to date")
    asked = parser.parse_args()
    if (asked.board is None) == (asked.write is None):
        parser.error("name a board, or a page to write")
    try:
        if asked.write is not None:
            text = asked.write.read_text(encoding="utf-8")
            asked.write.write_text(written(text), encoding="utf-8")
        elif asked.json:
            print(json.dumps(resource(load_board(asked.board))))  # noqa: T201
        else:
            print(table(load_board(asked.board)))  # noqa: T201
    except (Refusal, OSError) as e:
        print(f"hil.wiring: {e}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
