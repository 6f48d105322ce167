"""`kapok bench`: virtual boards that real tools can flash."""

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json, say_table

if TYPE_CHECKING:
    from hil.virtual.bench.folder import Folder
    from hil.virtual.bench.place import Setting
    from hil.virtual.bench.spec import Spec

DEFAULT_BOARDS = 8
PASS_S = 3600.0  # that time which is to pass may take, really

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="KAPOK_BENCH",
    default="kapok-bench",
    show_default=True,
    help="Where the boards' flash and eFuses are kept; also by the variable KAPOK_BENCH.",
)
board_argument = click.argument("board", metavar="BOARD")


class _Bench(click.RichGroup):
    """Runs a bench where no subcommand is named."""


@click.group(cls=_Bench, invoke_without_command=True)
@click.option("--boards", type=click.IntRange(0, 64), help="How many, of --board.")
@click.option("--board", default="esp32s3-bc660k", show_default=True, help="A name of hw/boards.")
@click.option(
    "--also",
    multiple=True,
    metavar="BOARD[,ODD]...",
    help="One more board, of another kind or with something odd: dies-at=60%, unplug-after=BYTES, "
    "flip-at=ADDRESS, nak=BLOCKS, no-en-capacitor, silent, encrypted, secure-boot, "
    "secure-download, no-download.",
)
@folder_option
@click.option("--scenario", metavar="FILE", help="The modems' air, as of kapok modem-twin.")
@click.option(
    "--pace",
    type=click.Choice(["real", "none"]),
    default="real",
    show_default=True,
    help="Whether wire and flash take the time that they would.",
)
@click.option(
    "--link-baud",
    type=click.IntRange(0, 4_000_000),
    default=0,
    help="Pace the wire at this rate, whatever a tool sets.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Seconds that pass for a board in a real one while it only waits; 0: those of ctl pass.",
)
@json_option
@click.pass_context
@one_line_errors
def bench(
    ctx: click.Context,
    boards: int | None,
    board: str,
    also: tuple[str, ...],
    folder: Path,
    scenario: str | None,
    pace: str,
    link_baud: int,
    rate: float,
    as_json: bool,
) -> None:
    """Run virtual boards, blank as from the factory, each on a serial port of its own.

    esptool, espefuse and mpremote work on these ports; kapok finds them as virtual:1 and so on.
    A bench that was ended and starts again has its boards as they were; without --boards and
    --also it has the same ones. Ctrl-C ends it.

    Example: kapok bench --boards 8 --also esp32-ec200 --also esp32s3-bc660k,dies-at=60%
    """
    if ctx.invoked_subcommand is not None:
        return
    from hil.virtual.bench.folder import BenchError, Folder
    from hil.virtual.bench.place import Setting
    from hil.virtual.bench.run import decide
    from hil.virtual.bench.spec import Spec, parse

    place = Folder(folder)
    place.hold()
    try:
        asked = [parse(text) for text in also]
        if boards is not None or asked:
            asked = [Spec(board)] * (DEFAULT_BOARDS if boards is None else boards) + asked
        specs = decide(place, asked, [Spec(board)] * DEFAULT_BOARDS)
        if not specs:
            raise BenchError("a bench needs a board: --boards, or --also")
        setting = Setting(pace == "real", link_baud, rate, scenario)
        asyncio.run(_run(place, specs, setting, as_json))
    finally:
        place.let_go()


async def _run(folder: "Folder", specs: "list[Spec]", setting: "Setting", as_json: bool) -> None:
    from hil.virtual.bench import runtimes
    from hil.virtual.bench.machine import Machine
    from hil.virtual.bench.run import Bench

    stand = Bench(folder, specs, setting, Machine)
    images = runtimes.write(folder.path, (place.chip for place in stand.places.values()))

    def ready(facts: dict[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps({**facts, "runtimes": [str(image) for image in images]}))
        else:
            _say_boards(facts)
            names = ", ".join(image.name for image in images)
            click.echo(f"{names} there: stand-ins for MicroPython's images, which only run here")
            click.echo(f"{len(facts['boards'])} boards on {folder.path}; Ctrl-C ends the bench")

    task = asyncio.ensure_future(stand.run(ready))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError, BrokenPipeError):
        await task


def _say_boards(facts: dict[str, Any]) -> None:
    keys = ["name", "port", "board", "chip", "mac", "node_id", "hub"]
    say_table("boards", keys, [[row[key] for key in keys] for row in facts["boards"]])


@bench.command("list")
@folder_option
@json_option
@one_line_errors
def list_(folder: Path, as_json: bool) -> None:
    """Show the boards of the bench that runs.

    Example: kapok bench list --json
    """
    from hil.virtual.bench.folder import running

    facts = running(folder)
    if as_json:
        say_json(facts)
    else:
        _say_boards(facts)


@bench.command("ctl")
@board_argument
@click.argument("do", metavar="DO")
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@folder_option
@json_option
@one_line_errors
def ctl(board: str, do: str, values: tuple[str, ...], folder: Path, as_json: bool) -> None:
    """Do something to a board: reset, loader, power-off, power-on, brown-out, press, unplug-after,
    fault, switch, state, clock, pass, stimulus, modem, current.

    BOARD is its name on the bench, or virtual: and its name. KEY=VALUE gives what DO needs:
    bytes=40000 for unplug-after, pin=button for press; a fault or a switch of the rig is set by
    its name, as in fault flip_at=65536, switch auto_strap=false; so is what is about its modem,
    modem rsrp=-120, unless it is log=0 or event=detach. A stimulus is pulse=pulse count=10, or
    level=cover value=1: see docs/bench.md.

    Example: kapok bench ctl 3 unplug-after bytes=40000
    """
    request: dict[str, Any] = {"do": do}
    given: dict[str, Any] = {}
    for item in values:
        key, equals, value = item.partition("=")
        if not equals:
            raise click.UsageError(f"{item!r} is not KEY=VALUE")
        given[key] = _plain(value)
    about = do in ("fault", "switch") or (do == "modem" and not given.keys() & {"log", "event"})
    request.update({"set": given} if about and given else given)
    _ask(folder, board, request, as_json)


@bench.command("press")
@board_argument
@click.option("--pin", default="button", show_default=True, help="A pin's name on the board.")
@folder_option
@json_option
@one_line_errors
def press(board: str, pin: str, folder: Path, as_json: bool) -> None:
    """Press a board's button.

    Example: kapok bench press 3
    """
    _ask(folder, board, {"do": "press", "pin": pin}, as_json)


def _ask(folder: Path, board: str, request: dict[str, Any], as_json: bool) -> None:
    from fleet.flashing.lines import ANSWER
    from hil.virtual.bench.control import ask

    patience_s = PASS_S if request["do"] == "pass" else ANSWER
    answered = ask(folder, {"board": board.removeprefix("virtual:"), **request}, patience_s)
    if as_json:
        say_json(answered)
        return
    answered.pop("ok", None)
    for key, value in answered.items():
        click.echo(f"{key}: {value if isinstance(value, str | int) else json.dumps(value)}")


def _plain(value: str) -> Any:
    try:
        return int(value, 0)
    except ValueError:
        pass
    try:
        return float(value) if value.strip("+-.")[:1].isdigit() else json.loads(value)
    except ValueError:
        return {"true": True, "false": False, "none": None}.get(value.lower(), value)
