"""`kapok hw`: boards, node types and partition tables, checked and shown."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json

if TYPE_CHECKING:
    from fleet.flashing.hardware import Board

_WIDTH = 48  # characters of the flash map's widest bar


@click.group()
def hw() -> None:
    """Boards and node types as data.

    Example: kapok hw show esp32c3-bc95
    """


@hw.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
@one_line_errors
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """Check boards, node types, profiles and partition tables: all that ship, or FILES.

    Exit code 1 when one has a fault; warnings are only shown.

    Example: kapok hw check hw/boards/my-board.toml
    """
    from fleet.flashing.hardware import shown
    from fleet.flashing.hardware_check import check as problems_of
    from fleet.flashing.hardware_check import every_file

    found = [(path, problems_of(path)) for path in files or every_file()]
    bad = any(problem.fatal for _, problems in found for problem in problems)
    if as_json:
        say_json(
            [
                {
                    "file": shown(path),
                    "ok": not any(problem.fatal for problem in problems),
                    "problems": [
                        {"file": shown(p.file), "key": p.key, "text": p.text, "fatal": p.fatal}
                        for p in problems
                    ],
                }
                for path, problems in found
            ]
        )
    else:
        for path, problems in found:
            for problem in problems:
                click.echo(str(problem))
            if not any(problem.fatal for problem in problems):
                click.echo(f"{shown(path)}: ok")
    sys.exit(1 if bad else 0)


@hw.command()
@click.argument("board")
@json_option
@one_line_errors
def show(board: str, as_json: bool) -> None:
    """Show a board: its pins and what lies where in its flash.

    Example: kapok hw show esp32-ec200
    """
    from fleet.flashing.hardware import load_board

    found = load_board(board)
    if as_json:
        say_json(_as_json(found))
    else:
        _picture(found)


def _pins(board: "Board") -> list[tuple[int, str, str, str]]:
    """(GPIO, name, purpose, what to think of) by number."""
    from fleet.flashing import gpio

    rows = [(pin, name, gpio.PURPOSE[name]) for name, pin in board.pins.items()]
    for name, uart in board.uarts.items():
        if name != "modem":
            label = f"UART{uart.unit} {name}"
            rows += [(uart.tx, f"{label} tx", gpio.OUT), (uart.rx, f"{label} rx", gpio.IN)]
            if uart.de is not None:
                rows.append((uart.de, f"{label} de", gpio.OUT))
    rows += [(pin, f"led {name}", gpio.OUT) for name, pin in board.leds.items()]
    for name, rail in board.rails.items():
        if isinstance(rail.switch, int):
            rows.append((rail.switch, f"rail {name}", gpio.OUT))
    return [(*row, gpio.doubt(board.chip, row[0])) for row in sorted(rows)]


def _flash(board: "Board") -> list[tuple[str, int, int]]:
    """(name, offset, bytes) of everything in flash, what is free included."""
    from fleet.flashing.chips import CHIPS
    from fleet.flashing.partitions import TABLE_OFFSET

    start = CHIPS[board.chip].bootloader_offset
    rows = [("bootloader", start, TABLE_OFFSET - start), ("partition table", TABLE_OFFSET, 0x1000)]
    rows += [(row.label, row.offset, row.size) for row in board.table]
    end, whole = start, []
    for name, offset, size in rows:
        if offset > end:
            whole.append(("(free)", end, offset - end))
        whole.append((name, offset, size))
        end = offset + size
    if end < board.flash_bytes:
        whole.append(("(free)", end, board.flash_bytes - end))
    return whole


def _as_json(board: "Board") -> dict[str, Any]:
    return {
        "name": board.name,
        "title": board.title,
        "chip": board.chip,
        "flash_bytes": board.flash_bytes,
        "modem": board.modem,
        "pins": [
            {"gpio": pin, "name": name, "purpose": purpose, "warning": doubt}
            for pin, name, purpose, doubt in _pins(board)
        ],
        "uarts": {name: uart.model_dump() for name, uart in board.uarts.items()},
        "rails": {name: rail.model_dump() for name, rail in board.rails.items()},
        "flash": [
            {"name": name, "offset": offset, "size": size} for name, offset, size in _flash(board)
        ],
    }


def _picture(board: "Board") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)
    console.print(Text(f"{board.name}: {board.title}", style="bold"))
    modem = board.modem or "none"
    console.print(Text(f"{board.chip}, flash {board.flash_bytes >> 20} MiB, modem {modem}\n"))
    pins = Table("GPIO", "name", "use", "note", title="pins", title_justify="left")
    for pin, name, purpose, doubt in _pins(board):
        pins.add_row(str(pin), Text(name), purpose, Text(doubt, style="yellow"))
    console.print(pins)
    for name, rail in board.rails.items():
        switch = f", switched by {rail.switch}" if rail.switch is not None else ""
        console.print(Text(f"rail {name}: {rail.millivolts} mV{switch}"))
    flash = Table("offset", "size", "partition", "", title="\nflash", title_justify="left")
    rows = _flash(board)
    largest = max(size for _, _, size in rows)
    colours = ("cyan", "green", "magenta", "blue")
    for number, (name, offset, size) in enumerate(rows):
        bar = ("." if name == "(free)" else "#") * max(1, round(size / largest * _WIDTH))
        flash.add_row(
            f"{offset:#08x}",
            f"{size // 1024} KiB",
            Text(name),
            Text(bar, style="dim" if name == "(free)" else colours[number % len(colours)]),
        )
    console.print(flash)


@hw.command()
@click.argument("name")
@json_option
@one_line_errors
def profile(name: str, as_json: bool) -> None:
    """Show a sub-device's profile as a node reads it.

    The text that begins with "=" may stand in a gateway's `devices` in place of the name, for a
    profile that its slot has not.

    Example: kapok hw profile dlt645
    """
    from fleet.flashing import profiles

    found = profiles.load(name)
    raw = profiles.compiled(found)
    quantities = [value.quantity for value in found.values]
    told = {"name": name, "title": found.title, "protocol": found.protocol, "bytes": len(raw),
            "quantities": quantities, "compiled": f"={raw.hex()}"}  # fmt: skip
    if as_json:
        say_json(told)
        return
    click.echo(f"{name}: {found.title}, {found.protocol}, {found.baud} baud, {len(raw)} bytes")
    click.echo(f"{', '.join(quantities)}\n={raw.hex()}")


@hw.command()
@click.argument("node_type")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Where it goes."
)
@click.option(
    "--runtime",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="MicroPython image; default: the cached one for the chip.",
)
@json_option
@one_line_errors
def image(node_type: str, out: Path, runtime: Path | None, as_json: bool) -> None:
    """Write the whole flash of a node type into one file, for a factory's programmer.

    Runtime, application, rescue application and file system, merged; NVS is left erased. Lay it
    at address 0.

    Example: kapok hw image gas-meter --runtime runtime.bin --out gas-meter.bin
    """
    from fleet.flashing.flash_order import prepare
    from fleet.identity.files import PUBLIC, write_atomic

    prepared = prepare(node_type, runtime, [])
    data = prepared.merged(None)
    write_atomic(out, data, PUBLIC)
    told = {"file": str(out), "bytes": len(data), "board": prepared.board.name,
            "runtime": prepared.runtime.version_text, "mark": prepared.runtime.mark}  # fmt: skip
    if as_json:
        say_json(told)
    else:
        click.echo(
            f"{out}: {len(data)} bytes for {told['board']}, MicroPython {told['runtime']}, "
            f"{told['mark']}"
        )
