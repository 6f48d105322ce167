"""What `make measure` found out about a node type's wakes: `hw/measured/<type>.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fleet.errors import Refusal
from fleet.paths import hw_dir

_HEAD = """\
# Written by `make measure`, from the real firmware on the virtual board with its modem's twin.
# Means. Milliseconds by phase are the node's own energy ledger; `turns` are the processor's work,
# in turns of a loop of which {turn_us:.4f} us is one here and hw/chips/ says what it is there.
"""


class MeasuredError(Refusal, ValueError):
    """A file of measurements is missing or not whole; the text says what to do."""


@dataclass(frozen=True)
class Sense:
    """A wake that samples and makes no contact: the mean of `wakes`."""

    wakes: int
    boot_ms: int
    sense_ms: int
    turns: int


@dataclass(frozen=True)
class Contact:
    """A wake with a day's records and the energy ledger. The mean of `contacts`.

    `modem_mj` and `modem_ms` from the modem's wake until it sleeps. `up` and `down` are octets of
    IP packets; `up_plain` is the same where the ledger did not begin anew.
    """

    contacts: int
    boot_ms: int
    sense_ms: int
    attach_ms: int
    send_ms: int
    listen_ms: int
    turns: int
    modem_mj: int
    modem_ms: int
    up: int
    down: int
    up_plain: int


@dataclass(frozen=True)
class Measured:
    """Of a node type; `contacts` by door ("coap", "mqtt") and coverage ("ecl0" ...)."""

    node: str
    board: str
    modem: str
    turn_us: float  # of the machine that measured
    sense: Sense
    contacts: Mapping[str, Mapping[str, Contact]]


def _path(node: str) -> Path:
    return hw_dir() / "measured" / f"{node}.toml"


def load(node: str) -> Measured:
    """The measurements of a node type."""
    path = _path(node)
    again = f"make measure ARGS={node}"
    try:
        table = tomllib.loads(path.read_text())
    except OSError:
        raise MeasuredError(f"nothing was measured of node type {node}: {again}") from None
    except tomllib.TOMLDecodeError as e:
        raise MeasuredError(f"hw/measured/{path.name}: {e}: {again}") from None
    try:
        contacts = {
            door: {level: _read(Contact, found) for level, found in levels.items()}
            for door, levels in table["contact"].items()
        }
        return Measured(
            table["node"], table["board"], table["modem"], table["turn_us"],
            _read(Sense, table["sense"]), contacts,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as e:
        raise MeasuredError(f"hw/measured/{path.name}: {e} is missing: {again}") from None


def _read(kind: type[Any], table: Mapping[str, Any]) -> Any:
    return kind(**{field.name: table[field.name] for field in fields(kind)})


def write(measured: Measured) -> Path:
    """Keep it; where."""
    lines = [_HEAD.format(turn_us=measured.turn_us)]
    lines += [f'{key} = "{getattr(measured, key)}"' for key in ("node", "board", "modem")]
    lines += [f"turn_us = {measured.turn_us:.4f}", "", "[sense]", *_lines(measured.sense)]
    for door, levels in measured.contacts.items():
        for level, contact in levels.items():
            lines += ["", f"[contact.{door}.{level}]", *_lines(contact)]
    path = _path(measured.node)
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def _lines(found: Any) -> list[str]:
    return [f"{key} = {value}" for key, value in asdict(found).items()]
