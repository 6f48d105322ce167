"""What a file of `hw/` must fulfil beyond its form: pins, partitions, the firmware's needs."""

from collections.abc import Iterator
from pathlib import Path

from fleet.flashing import gpio, node_schema, partitions, profiles
from fleet.flashing.hardware import (
    BUS,
    BUS_UART,
    MEGABYTE,
    Board,
    BoardFile,
    NodeType,
    Problem,
    as_board,
    read,
)
from fleet.flashing.partitions import Partition, PartitionError
from fleet.paths import hw_dir

FLASH_SIZES = (4 * MEGABYTE, 8 * MEGABYTE, 16 * MEGABYTE)
NVS_LEAST = 0x3000  # ESP-IDF: one page is always kept free
OTADATA = 0x2000  # two sectors, written in turns

# label: (type, subtype, least bytes). The firmware and the runtime find them by these.
NEEDED = {
    "nvs": (1, 0x02, NVS_LEAST),
    "otadata": (1, 0x00, OTADATA),
    "ota_0": (0, 0x10, MEGABYTE),
    "ota_1": (0, 0x11, MEGABYTE),
    "romfs": (1, 0x8F, 0x10000),
    "rescue": (1, 0x83, 0x10000),
    "vfs": (1, 0x81, 0x40000),
}
ROLE_PINS = {
    "gas-meter": ("pulse",),
    "drainage": ("level",),
    "lamppost": ("relay", "dim", "supply"),
    "gateway": ("bus_tx", "bus_rx"),
    "survey": ("button",),
}


def table_problems(path: Path, table: list[Partition]) -> Iterator[Problem]:
    """What the firmware needs and this table lacks."""
    rows = {row.label: row for row in table}
    for label, (kind, subtype, least) in NEEDED.items():
        row = rows.get(label)
        if row is None:
            yield Problem(path, label, "the firmware needs this partition: add it")
        elif (row.type, row.subtype) != (kind, subtype):
            yield Problem(
                path, label, f"is of type {row.type} {row.subtype:#04x}, not {kind} {subtype:#04x}"
            )
        elif row.size < least:
            yield Problem(path, label, f"has {row.size} bytes, needs {least}")
        elif row.size % partitions.BLOCK:
            yield Problem(path, label, f"its size is no multiple of {partitions.BLOCK}")
    if "ota_0" in rows and "ota_1" in rows and rows["ota_0"].size != rows["ota_1"].size:
        yield Problem(path, "ota_1", "is not as large as ota_0: an update would fit one only")


def table(path: Path) -> list[Problem]:
    """All that is wrong with a partition table's file."""
    # A table for more than 4 MiB says so by its name.
    size = 16 * MEGABYTE
    for candidate in FLASH_SIZES:
        if path.stem.startswith(f"{candidate // MEGABYTE}MiB"):
            size = candidate
    try:
        return list(table_problems(path, partitions.load(path, size)))
    except PartitionError as e:
        return [Problem(path, "", str(e).removeprefix(f"{path}:").strip())]


def board(path: Path) -> tuple[Board | None, list[Problem]]:
    """The board, None when it cannot even be read, and its problems."""
    file = read(path, BoardFile)
    if isinstance(file, list):
        return None, file
    problems = list(_board_problems(path, file))
    try:
        found = as_board(path, file)
    except PartitionError as e:
        return None, [*problems, Problem(path, "partitions", str(e))]
    csv = hw_dir() / "partitions" / file.partitions
    return found, [*problems, *table_problems(csv, found.table)]


def _uses(file: BoardFile) -> Iterator[tuple[str, int, str]]:
    """(key, pin, purpose) of everything that the file connects."""
    for name, pin in file.pins.items():
        yield f"pins.{name}", pin, gpio.PURPOSE.get(name, gpio.IN)
    for name, uart in file.uarts.items():
        yield f"uarts.{name}.tx", uart.tx, gpio.OUT
        yield f"uarts.{name}.rx", uart.rx, gpio.IN
        if uart.de is not None:
            yield f"uarts.{name}.de", uart.de, gpio.OUT
    for name, rail in file.rails.items():
        if isinstance(rail.switch, int):
            yield f"rails.{name}.switch", rail.switch, gpio.OUT
    for name, pin in file.leds.items():
        yield f"leds.{name}", pin, gpio.OUT


def _board_problems(path: Path, file: BoardFile) -> Iterator[Problem]:
    if file.flash_bytes not in FLASH_SIZES:
        sizes = ", ".join(str(size) for size in FLASH_SIZES)
        yield Problem(path, "flash_bytes", f"{file.flash_bytes} is none of {sizes}")
    if file.modem is not None and not (hw_dir() / "modems" / f"{file.modem}.toml").is_file():
        yield Problem(path, "modem", f"hw/modems has no {file.modem!r}")
    for name in file.pins:
        if name not in gpio.PURPOSE:
            known = ", ".join(gpio.PURPOSE)
            yield Problem(path, f"pins.{name}", f"the firmware knows no such pin: {known}")
    for name in ("tx", "rx"):
        if name not in file.pins:
            yield Problem(path, f"pins.{name}", "the key is missing: the modem's UART needs it")
    used: dict[int, str] = {}
    for key, pin, purpose in _uses(file):
        if why := gpio.fault(file.chip, pin, purpose):
            yield Problem(path, key, why)
        elif pin in used:
            yield Problem(path, key, f"GPIO {pin} is used by {used[pin]} already")
        elif why := gpio.doubt(file.chip, pin):
            yield Problem(path, key, why, fatal=False)
        used.setdefault(pin, key)
    units: dict[int, str] = {0: "the console", 1: "the modem"}
    for name, uart in file.uarts.items():
        if uart.unit in units:
            yield Problem(
                path, f"uarts.{name}.unit", f"UART {uart.unit} is {units[uart.unit]}'s already"
            )
        elif file.chip == "esp32c3" and uart.unit > 1:
            yield Problem(path, f"uarts.{name}.unit", "esp32c3 has UART 0 and 1 only")
        elif name == BUS and uart.unit != BUS_UART:
            yield Problem(
                path, f"uarts.{name}.unit", f"the firmware has its bus on UART {BUS_UART}"
            )
        units.setdefault(uart.unit, name)
    for name, rail in file.rails.items():
        if isinstance(rail.switch, str) and rail.switch not in file.pins:
            yield Problem(path, f"rails.{name}.switch", f"[pins] has no {rail.switch!r}")


def node_type(path: Path) -> tuple[NodeType | None, list[Problem]]:
    """The node type, None when it cannot even be read, and its problems and its board's."""
    found = read(path, NodeType)
    if isinstance(found, list):
        return None, found
    return found, list(_node_problems(path, found))


def _node_problems(path: Path, node: NodeType) -> Iterator[Problem]:
    board_file = hw_dir() / "boards" / f"{node.board}.toml"
    if not board_file.is_file():
        yield Problem(path, "board", f"hw/boards has no {node.board!r}")
        return
    on, problems = board(board_file)
    yield from problems
    if on is None:
        return
    if node.modem is not None and on.modem not in (None, node.modem):
        yield Problem(path, "modem", f"the board has a {on.modem} on it")
    modem = on.modem or node.modem
    if modem is None:
        yield Problem(path, "modem", "the key is missing: the board has no modem of its own")
    elif not (hw_dir() / "modems" / f"{modem}.toml").is_file():
        yield Problem(path, "modem", f"hw/modems has no {modem!r}")
    for pin in ROLE_PINS[node.role]:
        if pin not in on.node_pins:
            yield Problem(path, "board", f"role {node.role} needs a pin {pin!r} on {on.name}")
    for number, sensor in enumerate(node.sensors):
        if sensor.pin not in on.pins:
            yield Problem(path, f"sensors.{number}.pin", f"{on.name} has no pin {sensor.pin!r}")
    given = set(node.config) & {"node", "role", "modem", "pins", "host", "port"}
    if given:
        key = min(given)
        yield Problem(path, f"config.{key}", "is not for the node type to say: remove it")
        return
    base = {
        "node": "0" * 10, "role": node.role, "modem": modem or "", "host": "h", "port": 1,
        "pins": on.node_pins,
    }  # fmt: skip
    if why := node_schema.fault({**base, **node.config}):
        yield Problem(path, "config", f"the node would refuse it: {why}")
        return
    for number, device in enumerate(node.config.get("devices", ())):
        if not device[1].startswith("=") and device[1] not in profiles.names():
            known = ", ".join(profiles.names())
            yield Problem(
                path, f"config.devices.{number}", f"hw/profiles has no {device[1]!r}: {known}"
            )
    for key, field in node.calibration.items():
        for value in (field.least, field.most):
            if why := node_schema.fault({**base, **node.config, key: value}):
                yield Problem(path, f"calibration.{key}", f"at {value} the node refuses: {why}")
                break
        if field.least > field.most:
            yield Problem(path, f"calibration.{key}", "least is above most")


def every_file() -> list[Path]:
    """All files that `check` knows."""
    return [
        *sorted((hw_dir() / "boards").glob("*.toml")),
        *sorted((hw_dir() / "nodes").glob("*.toml")),
        *sorted((hw_dir() / "partitions").glob("*.csv")),
        *sorted(profiles.folder().glob("*.toml")),
    ]


def check(path: Path) -> list[Problem]:
    """All problems of one file, by what it is: a table, a profile, a node type or a board."""
    if path.suffix == ".csv":
        return table(path)
    if path.resolve().parent.name == "profiles":
        return profiles.check(path)[1]
    if path.resolve().parent.name == "nodes":
        problems = node_type(path)[1]
        return [problem for problem in problems if problem.fatal or problem.file == path]
    return board(path)[1]
