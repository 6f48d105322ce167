"""`kapok flash`: runtime, supervisor and application onto boards, many at once."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json, say_table

if TYPE_CHECKING:
    from fleet.flashing.flash_board import Result

_FOLDER = click.Path(path_type=Path, file_okay=False)
_SOURCES = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option(
    "--ports", "patterns", multiple=True, required=True, metavar="all|NAME|PATH|GLOB",
    help="Which boards: kapok ports lists them. Can be given many times.",
)  # fmt: skip
@click.option(
    "--node", "node_type", required=True, metavar="TYPE", help="Node type, as gas-meter."
)
@click.option("--runtime", type=_FILE, help="MicroPython's image; else the cached one.")
@click.option("--firmware", type=_SOURCES, help="Firmware sources; else those of this kapok.")
@click.option("--bundle", type=_FILE, help="A release, whose application they get; else a build.")
@click.option("--all", "everything", is_flag=True, help="Write also what is there already.")
@click.option("--resume", is_flag=True, help="Leave boards that an earlier run has finished.")
@click.option("--no-watch", is_flag=True, help="Do not watch the first boot.")
@click.option(
    "--watch-s", type=click.FloatRange(1, 600), default=30.0, show_default=True,
    help="Seconds for the first boot's self-test.",
)  # fmt: skip
@click.option(
    "--journal-dir", type=_FOLDER, default=".", show_default=True,
    help="Where journals found on boards are saved before they are overwritten.",
)  # fmt: skip
@click.option("--discard-journal", is_flag=True, help="Overwrite journals without saving them.")
@click.option(
    "--baud", type=click.IntRange(9600, 4_000_000), default=460_800, show_default=True,
    help="Rate of the line; a board that fails is tried once more at 115200.",
)  # fmt: skip
@json_option
@one_line_errors
def flash(
    patterns: tuple[str, ...],
    node_type: str,
    runtime: Path | None,
    firmware: Path | None,
    bundle: Path | None,
    everything: bool,
    resume: bool,
    no_watch: bool,
    watch_s: float,
    journal_dir: Path,
    discard_journal: bool,
    baud: int,
    as_json: bool,
) -> None:
    """Flash boards: bootloader, partition table, runtime, rescue and application.

    Chip, flash size and eFuses are read first; a board that is not what its board file says, or
    that is encrypted, is refused. Only what differs is written, each write is read back as a
    digest, and the first boot is watched until its self-test. The identity of a node (NVS) stays,
    and a journal on the board is saved first.

    A bad board stops no other. Ctrl-C ends all; --resume goes on. Exit code 1 when a board failed.

    Example: kapok flash --ports all --node gas-meter
    """
    from concurrent.futures import ThreadPoolExecutor

    from fleet.cli.flash_display import Bars, Lines
    from fleet.flashing.esptool_run import Stop
    from fleet.flashing.flash_board import Order
    from fleet.flashing.flash_many import flash_many
    from fleet.flashing.flash_order import prepare
    from fleet.flashing.ports import find

    if bundle is not None and firmware is not None:
        raise click.UsageError("--bundle is built already: no --firmware beside it")
    ports = find(patterns)
    prepared = prepare(node_type, runtime, ports, bundle)
    if not as_json:
        image = f"MicroPython {prepared.runtime.version_text}, {prepared.runtime.mark}"
        click.echo(f"{len(ports)} ports, {prepared.target.board}, {image}", err=True)
    with (
        tempfile.TemporaryDirectory(prefix="kapok-flash-") as folder,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        # The boards are identified while the application is built.
        making = pool.submit(prepared.make, firmware, Path(folder))
        order = Order(
            prepared.target,
            making.result,
            everything=everything,
            resume=resume,
            journal_folder=None if discard_journal else journal_dir.resolve(),
            watch_s=0.0 if no_watch else watch_s,
            baud=baud,
        )
        bars = sys.stderr.isatty() and not as_json
        with Bars([port.name for port in ports]) if bars else Lines() as display:
            results = flash_many(
                ports, order, stop=Stop(), on_progress=display.progress, on_result=display.result
            )
    if as_json:
        say_json([result._asdict() for result in results])
    else:
        _summary(results)
        for result in results:
            if bars and result.error:
                click.echo(result.error, err=True)
    if not all(result.ok for result in results):
        sys.exit(1)


def _summary(results: "list[Result]") -> None:
    say_table(
        "flashed",
        ["port", "node id", "chip", "result", "seconds", "written", "first boot"],
        [
            [
                result.port,
                result.node_id,
                result.chip,
                result.result,
                f"{result.seconds:.1f}",
                ", ".join(result.written) or "-",
                _boot(result),
            ]
            for result in results
        ],
    )
    for result in results:
        if result.journal:
            click.echo(f"{result.port}: its journal is saved in {result.journal}")
        if result.slowed:
            click.echo(f"{result.port}: slow line: only 115200 worked, try another cable")


def _boot(result: "Result") -> str:
    test = result.selftest
    if test is None:
        return "-"
    bad = [name for name in ("vfs", "nvs") if test.get(name) is False]
    state = "provisioned" if test.get("provisioned") else "not provisioned"
    return f"{', '.join(bad)} BAD" if bad else f"ok, {state}"
