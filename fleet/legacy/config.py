"""`legacy.toml` in the data folder: ports for old terminals, and what these may cost."""

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from fleet.legacy.asking import line_of
from fleet.legacy.limits import Bounds
from fleet.legacy.links import Home
from fleet.legacy.mapping import Meanings
from fleet.legacy.polling import Model
from fleet.legacy.protocols import dtu
from fleet.settings import SettingsError

FILE = "legacy.toml"
PORTS = {"hj212": 9212, "sl651": 9651, "dtu": 9645}
_DTU = {"port", "kind", "opening", "heartbeats", "poll_s", "answer_s", "profiles"}
_TABLES = {"listen": {"host"}, "hj212": {"port"}, "sl651": {"port"}}
_TOP = {"listen", "limits", "networks", "hj212", "sl651", "dtu", "map"}


@dataclass(frozen=True)
class Config:
    """`ports`: of HJ 212 and SL 651, TCP and UDP, None: off. `dtus`: each port and its boxes."""

    host: str = "127.0.0.1"
    ports: Mapping[str, int | None] = field(default_factory=lambda: {"hj212": 9212, "sl651": 9651})
    dtus: tuple[tuple[int, Model], ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    home: Home = field(default_factory=Home)
    meanings: Meanings = field(default_factory=Meanings)


def load(
    data: Path, host: str | None = None, connections: int | None = None,
    ports: Mapping[str, int | str | None] | None = None,
) -> Config:  # fmt: skip
    """The file, where there is one, and options that win over it; SettingsError in one line.

    `ports`: by protocol a number, "off", or None: as the file says.
    """
    told = _read(data / FILE)
    strange = sorted(set(told) - _TOP)
    if strange:
        raise SettingsError(f"{FILE}: {strange[0]!r}: one of {', '.join(sorted(_TOP))}")
    for name, known in _TABLES.items():
        _check(_table(told, name), name, known)
    asked = ports or {}
    bounds = _bounds(_table(told, "limits"))
    if connections is not None:
        if not 1 <= connections <= 1_000_000:
            raise SettingsError(f"--connections {connections}: 1 to 1000000")
        bounds = replace(bounds, connections=connections)
    listen = _table(told, "listen")
    found = {
        name: _port(asked.get(name), _table(told, name).get("port", PORTS[name]), name)
        for name in ("hj212", "sl651")
    }
    own_map = _table(told, "map")
    return Config(
        host or _text(listen, "host", "127.0.0.1"), found,
        tuple(_dtus(told.get("dtu", [{}]), asked.get("dtu"))), bounds, _home(told),
        Meanings(own_map),
    )  # fmt: skip


def _dtus(listed: Any, asked: int | str | None) -> list[tuple[int, Model]]:
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise SettingsError(f"{FILE}: boxes are [[dtu]], one for each port")
    made = []
    for place, one in enumerate(listed):
        _check(one, "dtu", _DTU)
        port = _port(asked if place == 0 else None, one.get("port", PORTS["dtu"] + place), "dtu")
        if port is not None:
            made.append((port, _model(one)))
    return made


def _model(told: dict[str, Any]) -> Model:
    try:
        beats = tuple(bytes.fromhex(text) for text in told.get("heartbeats", ()))
    except (ValueError, TypeError):
        raise SettingsError(f"{FILE}: dtu.heartbeats: hexadecimal texts") from None
    boxes = dtu.pattern(str(told.get("kind", "imei")), str(told.get("opening", "")), beats)
    kinds = told.get("profiles", {})
    for profile in kinds.values():
        line_of(str(profile))  # refuses one that is not there
    return Model(
        boxes, _seconds(told, "poll_s", 3600.0, 1.0), _seconds(told, "answer_s", 8.0, 0.05), kinds
    )


def _bounds(told: dict[str, Any]) -> Bounds:
    known = {one.name: one.default for one in fields(Bounds)}
    for name, value in told.items():
        if name not in known:
            raise SettingsError(f"{FILE}: limits.{name}: one of {', '.join(known)}")
        whole = isinstance(known[name], int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise SettingsError(f"{FILE}: limits.{name}: a number")
        if value <= 0:
            raise SettingsError(f"{FILE}: limits.{name}: more than 0")
    return replace(Bounds(), **told)


def _home(told: dict[str, Any]) -> Home:
    try:
        return Home(tuple(ipaddress.ip_network(one) for one in told.get("networks", ())))
    except (ValueError, TypeError) as e:
        raise SettingsError(f"{FILE}: networks: {e}") from None


def _port(asked: int | str | None, told: Any, name: str) -> int | None:
    port = told if asked is None else asked
    if port == "off":
        return None
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise SettingsError(f"port of {name}: 0 to 65535, or off")
    return port


def _text(told: dict[str, Any], name: str, usual: str) -> str:
    value = told.get(name, usual)
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{FILE}: listen.{name}: a text")
    return value


def _seconds(told: dict[str, Any], name: str, usual: float, least: float) -> float:
    value = told.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
        raise SettingsError(f"{FILE}: dtu.{name}: {least} seconds or more")
    return float(value)


def _check(told: dict[str, Any], name: str, known: set[str]) -> None:
    strange = sorted(set(told) - known)
    if strange:
        where = f"[{name}]" if name != "dtu" else "[[dtu]]"
        more = f"; values are mapped in [map.{name}]" if name in PORTS and name != "dtu" else ""
        raise SettingsError(
            f"{FILE}: {where}: {strange[0]!r}: one of {', '.join(sorted(known))}{more}"
        )


def _table(told: dict[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name, {})
    if not isinstance(found, dict):
        raise SettingsError(f"{FILE}: {name} is a table")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise SettingsError(f"{path}: {str(e).splitlines()[0]}") from None
