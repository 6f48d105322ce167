"""`kapok journal`: what a node has not delivered: send it, keep it in a file, take a file in."""

import sys
from pathlib import Path

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, settings

_port = click.option("--port", "-p", required=True, help="virtual:3, a path, or a fitting glob.")


@click.group()
def journal() -> None:
    """Journals of nodes: drain, export, import, before a board is swapped or flashed.

    Example: kapok journal drain --port virtual:3
    """


@journal.command()
@_port
@json_option
@one_line_errors
def drain(port: str, as_json: bool) -> None:
    """Let the node send all that waits in its journal; exit code 1 when something is left.

    Example: kapok journal drain --port virtual:3
    """
    from fleet.flashing import ports
    from fleet.flashing.repl import CONTACT_S, ReplError, opened

    where = ports.one(port)
    if not as_json:
        click.echo(f"{where.name}: sending what waits ...", err=True)
    with opened(where) as repl:
        told = repl.run("facts", "contact", call="drain()", timeout_s=CONTACT_S)
    if as_json:
        say_json(told)
    elif "error" not in told:
        click.echo(f"{where.name}: journal empty: all is at the fleet")
    if "error" in told:
        raise ReplError(
            f"{where.name}: {told['depth']} records are left (error {told['error']}): "
            f"kapok journal export --port {port}, or kapok diag --port {port} for the reason"
        )


@journal.command()
@_port
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Folder for the file.",
)
@json_option
@one_line_errors
def export(port: str, out: Path, as_json: bool) -> None:
    """Copy a node's journal to a file that `kapok journal import` takes in; the node keeps it.

    Example: kapok journal export --port virtual:3 --out journals
    """
    from fleet.flashing import ports
    from fleet.flashing.journal import read
    from fleet.flashing.journal_export import save
    from fleet.flashing.repl import opened
    from fleet.wire import nodeid

    where = ports.one(port)
    with opened(where) as repl:
        mac = bytes.fromhex(repl.run("facts", call="machine.unique_id().hex()"))
        files = repl.files("/journal")
    content, node_id = read(files), nodeid.from_mac(mac)
    path = save(out, mac, files)
    if as_json:
        say_json({"node": node_id, "records": content.depth, "file": str(path)})
    else:
        click.echo(f"node {node_id}: {content.depth} records in {path}")


@journal.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@json_option
@one_line_errors
def import_(files: tuple[Path, ...], as_json: bool) -> None:
    """Take exported journals into the fleet. What it has already is not stored twice.

    Example: kapok journal import journals/*.kj
    """
    from fleet.flashing.journal import read
    from fleet.flashing.journal_export import load
    from fleet.uplink.imports import take_in
    from fleet.uplink.ingest import Ingest

    done = []
    with database(needs=settings()) as db:
        for path in files:
            exported = load(path)
            result = take_in(Ingest(db), exported.node_id, read(exported.files))
            done.append({"file": str(path), "node": exported.node_id, **result._asdict()})
            if not as_json:
                click.echo(
                    f"{path}: node {exported.node_id}: {result.records} records, "
                    f"{result.stored} new, {result.repeated} known, {result.refused} refused"
                )
    if as_json:
        say_json(done)
    if any(one["refused"] for one in done):
        sys.exit(1)
