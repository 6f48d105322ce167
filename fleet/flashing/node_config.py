"""The configuration that a board gets: its type's, its area's, its own, and where the fleet is."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.flashing import hardware, node_schema
from fleet.flashing.errors import FlashError
from fleet.paths import hw_dir
from fleet.wire import cbor

DOORS = ("coap", "mqtt")
UPDATES = "updates"  # beside the doors: where nodes on LTE Cat1 fetch updates by HTTPS
LONGEST = 1024  # bytes, as in firmware/node/config.py


class ConfigRefused(FlashError):
    """The node would not take this configuration."""


def compose(
    node_type: hardware.NodeType,
    node_id: str,
    doors: Mapping[str, Sequence[Any]],
    *,
    layers: Sequence[Mapping[str, Any]] = (),
    door: str = "",
) -> bytes:
    """Strict CBOR of the configuration; ConfigRefused in one line.

    Later `layers` win over earlier ones and over the type's defaults; None takes a key away. What
    the board is and where the fleet is win over all. `door` empty: CoAP for NB-IoT where the
    fleet has it.
    """
    board = hardware.load_board(node_type.board)
    modem = board.modem or node_type.modem
    if modem is None:
        raise ConfigRefused(f"hw/nodes/{node_type.name}.toml and its board name no modem")
    values: dict[str, Any] = {"apn": "", **node_type.config}
    for layer in layers:
        values |= layer
    values = {key: value for key, value in values.items() if value is not None}
    wanted = str(values.get("door", ""))
    chosen = door or (wanted if wanted in doors else _door(modem, doors))
    if chosen == UPDATES or chosen not in doors:
        there = ", ".join(sorted(set(doors) - {UPDATES})) or "none"
        raise ConfigRefused(f"the fleet has no door {chosen!r}: it has {there}")
    host, port = doors[chosen]
    fetches = doors.get(UPDATES, ("", 0))
    if chosen == "mqtt" and fetches[0] == host and _technology(modem) == "lte-cat1":
        values.setdefault("updates", fetches[1])
    values |= {
        "node": node_id, "role": node_type.role, "modem": modem, "pins": board.node_pins,
        "board": board.name, "door": chosen, "host": host, "port": port,
    }  # fmt: skip
    if why := node_schema.fault(values):
        raise ConfigRefused(f"the node would refuse its configuration: {why}")
    try:
        raw = cbor.encode(values)
    except cbor.CborError as e:
        raise ConfigRefused(f"the configuration cannot be written: {e}") from None
    if len(raw) > LONGEST:
        raise ConfigRefused(f"a configuration of {len(raw)} bytes: {LONGEST} at most")
    return raw


def check(node_type: hardware.NodeType, values: Mapping[str, Any], door: str = "") -> None:
    """ConfigRefused for values that no board of this type would take: before one is claimed."""
    for key, value in values.items():
        bounds = node_type.calibration.get(key)
        if bounds is not None and not (
            isinstance(value, int) and bounds.least <= value <= bounds.most
        ):
            raise ConfigRefused(
                f"--set {key}={value}: {bounds.least} to {bounds.most} {bounds.unit}"
                f" ({bounds.ask})"
            )
    anywhere = dict.fromkeys(DOORS, ("localhost", 1))
    compose(node_type, "0" * 10, anywhere, layers=[values], door=door)


def _door(modem: str, doors: Mapping[str, object]) -> str:
    return "coap" if _technology(modem) == "nb-iot" and "coap" in doors else "mqtt"


def _technology(modem: str) -> str:
    try:
        text = (hw_dir() / "modems" / f"{modem}.toml").read_text(encoding="utf-8")
        return str(tomllib.loads(text).get("technology"))
    except (OSError, ValueError):
        return ""
