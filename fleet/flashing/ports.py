"""Ports by names that stay: USB ports by where they are plugged, virtual boards by number."""

import fnmatch
import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fleet.flashing.errors import FlashError, NoSuchPort
from fleet.paths import hw_dir

BY_PATH = Path("/dev/serial/by-path")
VIRTUAL = "virtual:"


class UsbListError(FlashError):
    """hw/usb.toml is not a list of bridges."""


class BenchFileError(FlashError):
    """bench.json is not what `kapok bench` writes."""


class Bridge(NamedTuple):
    """A USB serial bridge of the allow-list; `interfaces` empty: all of them."""

    name: str
    interfaces: tuple[int, ...]


class Port(NamedTuple):
    """One serial port.

    `name` is stable: `usb:1-3.2:1.0` (bus, hub ports, interface), `virtual:3`, or the path that
    was given; `device` is what it is called now. Resets on one `hub` are done one after another.
    `known`: on the allow-list or virtual. `control` and `board` are the bench's socket and the
    board's name there, empty for a real port.
    """

    name: str
    device: str
    hub: str
    serial_number: str = ""
    usb: str = ""  # vid:pid
    model: str = ""
    by_path: str = ""
    known: bool = False
    control: str = ""
    board: str = ""
    bench: str = ""  # folder of bench.json

    @property
    def virtual(self) -> bool:
        """Whether a virtual bench owns its reset and its strap."""
        return bool(self.control)

    @property
    def path(self) -> str:
        """What to open: by where it is plugged, since `device` may be another after a reset."""
        return self.by_path or self.device

    @property
    def native_usb(self) -> bool:
        """Whether the chip itself is the USB device, which may vanish while it resets."""
        return self.usb.startswith("303a:")


@cache
def bridges() -> Mapping[str, Bridge]:
    """The allow-list of hw/usb.toml by vid:pid."""
    path = hw_dir() / "usb.toml"
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["bridge"]
        return {row["usb"]: Bridge(row["name"], tuple(row.get("interfaces", ()))) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise UsbListError(f"{path}: no list of USB bridges: {e!r}") from None


def _interface(location: str) -> int | None:
    """Number of the interface in `1-3.2:1.0`."""
    tail = location.rpartition(".")[2]
    return int(tail) if ":" in location and tail.isdecimal() else None


def _hub(location: str) -> str:
    """The hub of a location: `1-3.2:1.0` -> `1-3`, `1-3` -> `1`."""
    plug = location.partition(":")[0]
    return plug.rpartition("." if "." in plug else "-")[0] or plug


def usb_port(info: Any, by_path: Mapping[str, str]) -> Port | None:
    """The port of one entry of pyserial's list; None where it is no USB port."""
    if info.vid is None or not info.location:
        return None
    usb = f"{info.vid:04x}:{info.pid:04x}"
    bridge = bridges().get(usb)
    interface = _interface(info.location)
    known = bridge is not None and (
        not bridge.interfaces or interface is None or interface in bridge.interfaces
    )
    return Port(
        name=f"usb:{info.location}",
        device=info.device,
        hub=f"usb:{_hub(info.location)}",
        serial_number=info.serial_number or "",
        usb=usb,
        model=bridge.name if bridge else (info.product or "unknown"),
        by_path=by_path.get(os.path.realpath(info.device), ""),
        known=known,
    )


def usb_ports() -> list[Port]:
    """Every USB serial port of this machine, in the order of where they are plugged."""
    from serial.tools import list_ports as tools

    list_ports: Any = tools  # untyped

    by_path = (
        {os.path.realpath(link): str(link) for link in sorted(BY_PATH.iterdir())}
        if BY_PATH.is_dir()
        else {}
    )
    found = (usb_port(info, by_path) for info in list_ports.comports())
    return sorted(port for port in found if port is not None)


def bench_folder() -> Path:
    """Where the virtual bench writes bench.json: KAPOK_BENCH, or ./kapok-bench."""
    return Path(os.environ.get("KAPOK_BENCH") or "kapok-bench")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def virtual_ports(folder: Path) -> list[Port]:
    """The boards of a bench that runs; none where there is no bench, or its process is gone."""
    path = folder / "bench.json"
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        bench = json.loads(raw)
        if not _alive(int(bench["pid"])):
            return []
        return [
            Port(
                name=f"{VIRTUAL}{board['name']}",
                device=str(board["port"]),
                hub=f"{VIRTUAL}hub:{board.get('hub', '')}",
                serial_number=str(board.get("mac", "")),
                model=str(board.get("board", "")),
                known=True,
                control=str(bench["control"]),
                board=str(board["name"]),
                bench=str(folder),
            )
            for board in bench["boards"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise BenchFileError(f"{path}: not written by kapok bench: {e!r}") from None


def discover() -> list[Port]:
    """Every port, real and virtual, whether or not it is on the allow-list."""
    return [*usb_ports(), *virtual_ports(bench_folder())]


def _matches(port: Port, pattern: str) -> bool:
    return any(
        fnmatch.fnmatchcase(text, pattern) for text in (port.name, port.device, port.by_path)
    )


def _exactly(port: Port, text: str) -> bool:
    names = (port.name, port.device, port.by_path)
    return text in names or (text.startswith("/") and os.path.realpath(text) == port.device)


def _one(pattern: str, there: list[Port]) -> list[Port]:
    exact = [port for port in there if _exactly(port, pattern)]
    if exact:
        return exact[:1]
    if pattern == "all":
        chosen = [port for port in there if port.known]
    elif any(c in pattern for c in "*?["):
        chosen = [port for port in there if port.known and _matches(port, pattern)]
    elif "/" in pattern and Path(pattern).exists():
        return [Port(name=pattern, device=pattern, hub=pattern)]
    else:
        chosen = []
    if not chosen:
        if pattern.startswith(VIRTUAL) and not any(port.virtual for port in there):
            raise NoSuchPort(
                f"no virtual bench runs in {bench_folder()}: start one with kapok bench,"
                " or name its folder in KAPOK_BENCH"
            )
        raise NoSuchPort(f"no port is {pattern!r}: kapok ports lists what there is")
    return chosen


def find(patterns: Iterable[str], there: list[Port] | None = None) -> list[Port]:
    """Ports that the patterns name, each once, in the order of the patterns.

    A pattern is `all`, a name, a path, or a glob over names and paths. `all` and globs choose
    ports of the allow-list only; another one must be named exactly. NoSuchPort where a pattern
    names none. `there`: what was discovered already.
    """
    known = discover() if there is None else there
    chosen: dict[str, Port] = {}
    for pattern in patterns:
        for port in _one(pattern, known):
            chosen.setdefault(port.device, port)
    return list(chosen.values())


def one(pattern: str) -> Port:
    """The one port that the pattern names; NoSuchPort where it names several."""
    found = find([pattern])
    if len(found) > 1:
        names = ", ".join(port.name for port in found[:4])
        raise NoSuchPort(f"{pattern!r} names {len(found)} ports ({names} ...): name one")
    return found[0]
