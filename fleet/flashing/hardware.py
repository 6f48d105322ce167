"""Boards and node types as data: `hw/boards/*.toml` and `hw/nodes/*.toml`, strictly read."""

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fleet.errors import Refusal
from fleet.flashing import partitions
from fleet.flashing.partitions import Partition
from fleet.paths import hw_dir

MODEM_UART = 1  # as in firmware/node/link/session.py
BUS, BUS_UART = "rs485", 2  # of [uarts]; the unit is as in firmware/node/sense/bus.py
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
MEGABYTE = 1024 * 1024

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Pin = Annotated[int, Field(ge=0, le=48)]


class HardwareError(Refusal, ValueError):
    """A file of `hw/` cannot be used; the text names file, key and what is wrong, in one line."""


class Problem(NamedTuple):
    """One finding in a file; `fatal` unless it is only something to think of."""

    file: Path
    key: str
    text: str
    fatal: bool = True

    def __str__(self) -> str:
        where = f"{shown(self.file)}: {self.key}: " if self.key else f"{shown(self.file)}: "
        return f"{where}{'' if self.fatal else 'warning: '}{self.text}"


def shown(path: Path) -> str:
    """A path as texts name it: those of `hw/` from there on."""
    try:
        return (Path("hw") / path.resolve().relative_to(hw_dir().resolve())).as_posix()
    except ValueError:
        return str(path)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Uart(_Strict):
    """A UART: `unit` its number, `de` the pin that enables an RS-485 driver."""

    unit: Annotated[int, Field(ge=0, le=2)]
    tx: Pin
    rx: Pin
    de: Pin | None = None


class Rail(_Strict):
    """A supply; `switch` is the pin that switches it, by name in [pins] or by number."""

    millivolts: Annotated[int, Field(ge=500, le=60_000)]
    switch: str | Pin | None = None


class Sensor(_Strict):
    """Something that a node senses: on which of the board's pins, and as which quantity."""

    kind: Literal["pulse", "4-20mA", "voltage", "contact", "ultrasonic", "i2c"]
    pin: Name
    quantity: str = ""
    note: str = ""


class Calibration(_Strict):
    """A configuration key that each node gets at its provisioning, and its bounds."""

    unit: str
    least: int
    most: int
    ask: str


class Supply(_Strict):
    """What a battery node lives on, for `kapok battery`: `battery` of hw/batteries, uA that the
    board leaks, mC of a sample's sensors and of a drive of its valve.
    """

    battery: Name
    leak_ua: float = 0.0
    sample_mc: float = 0.0
    valve_mc: float = 0.0
    valve_per_year: float = 0.0


class BoardFile(_Strict):
    """A board as its file has it."""

    name: Name
    title: str
    chip: Literal["esp32", "esp32s3", "esp32c3"]
    flash_bytes: int
    partitions: str
    modem: Name | None = None
    pins: dict[Name, Pin]
    uarts: dict[Name, Uart] = {}
    rails: dict[Name, Rail] = {}
    leds: dict[Name, Pin] = {}


class NodeType(_Strict):
    """A board in a role: its sensors, its configuration's defaults, what is calibrated."""

    name: Name
    title: str
    board: Name
    role: Literal["gas-meter", "drainage", "lamppost", "gateway", "survey"]
    modem: Name | None = None  # where the board has none of its own
    sensors: list[Sensor] = []
    supply: Supply | None = None  # None: from the mains
    config: dict[str, Any] = {}
    calibration: dict[Name, Calibration] = {}


class Board(NamedTuple):
    """A checked board. `table` are the partitions; `uarts` has the modem's too, as "modem"."""

    name: str
    title: str
    chip: str
    flash_bytes: int
    table: list[Partition]
    modem: str | None
    pins: dict[str, int]
    uarts: dict[str, Uart]
    rails: dict[str, Rail]
    leds: dict[str, int]
    path: Path

    @property
    def node_pins(self) -> dict[str, int]:
        """The pins as a node's configuration has them: those of the RS-485 line are `bus_...`."""
        bus = self.uarts.get(BUS)
        if bus is None:
            return dict(self.pins)
        wired = {"bus_tx": bus.tx, "bus_rx": bus.rx, "bus_de": bus.de}
        return self.pins | {name: pin for name, pin in wired.items() if pin is not None}


_Model = TypeVar("_Model", bound=_Strict)


def read(path: Path, model: type[_Model]) -> _Model | list[Problem]:
    """The file as a model, or all that is wrong with its form."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [Problem(path, "", "there is no such file")]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        return [Problem(path, "", f"no TOML that can be read: {' '.join(str(e).split())}")]
    try:
        found = model.model_validate(values)
    except ValidationError as e:
        return [_problem(path, dict(error)) for error in e.errors()]
    if getattr(found, "name") != path.stem:  # noqa: B009  both models have it
        return [Problem(path, "name", f"it is not the file's own: {path.stem!r} is expected")]
    return found


def _problem(path: Path, error: Mapping[str, Any]) -> Problem:
    key = ".".join(str(part) for part in error["loc"] if part not in ("[key]", "int", "str"))
    kinds = {"extra_forbidden": "unknown key", "missing": "the key is missing"}
    text = kinds.get(error["type"]) or str(error["msg"])
    return Problem(path, key, " ".join(text.split()))


def board_path(name: str) -> Path:
    """The file of a board; HardwareError for what is no name."""
    return _path("boards", name)


def node_path(name: str) -> Path:
    """The file of a node type; HardwareError for what is no name."""
    return _path("nodes", name)


def profile_path(name: str) -> Path:
    """The file of a sub-device's profile; HardwareError for what is no name."""
    return _path("profiles", name)


def _path(folder: str, name: str) -> Path:
    path = hw_dir() / folder / f"{name}.toml"
    if not NAME.match(name) or not path.is_file():
        known = ", ".join(_names(folder)) or "none"
        raise HardwareError(f"hw/{folder} has no {name[:40]!r}: known are {known}")
    return path


def _names(folder: str) -> list[str]:
    return sorted(path.stem for path in (hw_dir() / folder).glob("*.toml"))


def boards() -> list[str]:
    """Names of all boards."""
    return _names("boards")


def node_types() -> list[str]:
    """Names of all node types."""
    return _names("nodes")


def as_board(path: Path, file: BoardFile) -> Board:
    """The board with its partition table; PartitionError when that cannot be read."""
    uarts = dict(file.uarts)
    if "tx" in file.pins and "rx" in file.pins:
        uarts["modem"] = Uart(unit=MODEM_UART, tx=file.pins["tx"], rx=file.pins["rx"])
    table = partitions.load(hw_dir() / "partitions" / file.partitions, file.flash_bytes)
    return Board(
        file.name, file.title, file.chip, file.flash_bytes, table, file.modem, file.pins,
        uarts, file.rails, file.leds, path,
    )  # fmt: skip


def load_board(name: str) -> Board:
    """The board of this name, checked; HardwareError says what is wrong with it."""
    path = board_path(name)
    return _load_board(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _load_board(path: Path, _changed: int) -> Board:
    from fleet.flashing import hardware_check

    board, problems = hardware_check.board(path)
    return whole(board, problems)


def load_node_type(name: str) -> NodeType:
    """The node type of this name, checked; HardwareError says what is wrong with it."""
    from fleet.flashing import hardware_check

    found, problems = hardware_check.node_type(node_path(name))
    return whole(found, problems)


T = TypeVar("T")


def whole(found: T | None, problems: list[Problem]) -> T:
    """What was found, unless a problem is fatal: then HardwareError says which."""
    for problem in problems:
        if problem.fatal:
            raise HardwareError(str(problem))
    assert found is not None  # noqa: S101  it is None only with a problem
    return found
