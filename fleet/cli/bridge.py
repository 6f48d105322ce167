"""`kapok bridge`: read other people's master stations, and tell platforms."""

from pathlib import Path
from typing import Any

import rich_click as click

from fleet.cli.bridge_forward import forward, requeue
from fleet.cli.common import (
    data_folder,
    database,
    iso,
    json_option,
    log_to_stderr,
    one_line_errors,
    say_json,
    say_table,
)

_file = click.Path(path_type=Path, dir_okay=False, exists=True)
_rows = click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many rows."
)


@click.group()
def bridge() -> None:
    """Read existing master stations, and forward readings to platforms.

    \b
    preview  what a mapping file makes of a source's next rows; nothing is kept
    run      read sources: a table or view, a drop folder, an HTTP interface, MQTT topics
    list     how far each is read, and what waits
    dead     rows that could not be taken in, and why
    retry    take them in by the mapping and the registry as they are now
    rewind   read a source from its beginning again; nothing is stored twice
    forward  tell readings as HJ 212, SL 651 or JSON, until the platform has answered
    requeue  tell again what was set aside

    Example: kapok bridge preview scada.toml && kapok bridge run scada.toml
    """


bridge.add_command(forward)
bridge.add_command(requeue)


@bridge.command()
@click.argument("path", type=_file, metavar="MAPPING")
@_rows
@json_option
@one_line_errors
def preview(path: Path, limit: int, as_json: bool) -> None:
    """Show what a mapping file makes of the rows that come next; nothing is kept or moved.

    Example: kapok bridge preview scada.toml --limit 50
    """
    from contextlib import closing

    from fleet.bridge import mapping, opening
    from fleet.bridge.preview import look
    from fleet.bridge.tables import BridgeSource

    mapped = mapping.read(path)
    with database() as db, closing(opening.to_look_at(mapped, limit)) as source:
        with db.read() as session:
            row = session.get(BridgeSource, mapped.name)
        cursor = row.cursor if row is not None and row.kind == "database" else ""
        found = look(db, source, mapped.rules, cursor, limit)
    if as_json:
        say_json(
            {
                "name": mapped.name, "rows": [one._asdict() for one in found.rows],
                "unread": found.unread, "missing": found.missing,
            }
        )  # fmt: skip
        return
    rows = [
        [
            one.place, one.terminal, one.asset, one.time, ", ".join(one.values), one.quality,
            one.why or one.outcome,
        ]
        for one in found.rows
    ]  # fmt: skip
    headings = ["row", "terminal", "asset", "time", "values", "quality", "what becomes of it"]
    say_table(mapped.name, headings, rows)
    if found.missing:
        click.echo(f"not there: {', '.join(found.missing)}")
    if found.unread:
        click.echo(f"not used: {', '.join(found.unread)}")
    dead = sum(one.outcome == "dead" for one in found.rows)
    click.echo(f"{len(found.rows)} row(s), {dead} of them dead letters; nothing was kept")


@bridge.command()
@click.argument("paths", type=_file, metavar="MAPPING...", nargs=-1, required=True)
@click.option("--once", is_flag=True, help="Read what is there now, and end.")
@json_option
@one_line_errors
def run(paths: tuple[Path, ...], once: bool, as_json: bool) -> None:
    """Read sources again and again, until it is stopped; a kill loses nothing.

    Exit code 1 with --once when a source could not be read.

    Example: kapok bridge run scada.toml heat.toml
    """
    from fleet.bridge import mapping, runner

    log_to_stderr()
    several = [mapping.read(path) for path in paths]
    with database() as db:
        run_jobs([lambda one=one: runner.Reading(data_folder(), db, one) for one in several],
                 once, as_json)  # fmt: skip


def run_jobs(makers: list[Any], once: bool, as_json: bool) -> None:
    """Open jobs and run them, once or until a signal comes."""
    import signal
    import threading
    from contextlib import ExitStack

    from fleet.bridge import runner
    from fleet.errors import Refusal

    with ExitStack() as stack:
        jobs = []
        for make in makers:
            job = make()
            stack.callback(job.close)
            jobs.append(job)
        if not once:
            stopping = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stopping.set())
            runner.serve(jobs, stopping)
            return
        told, refused = [], []
        for job in jobs:
            try:
                told.append({"name": job.name, **job.once(lambda: False)._asdict()})
            except Refusal as e:
                job.failed(str(e))
                refused.append(f"{job.name}: {e}")
        for one in told:
            one.pop("more", None)
        if as_json:
            say_json(told)
        else:
            for one in told:
                parts = [f"{count} {what}" for what, count in one.items() if what != "name"]
                click.echo(f"{one['name']}: {', '.join(parts)}")
        if refused:
            raise click.ClickException("; ".join(refused))


@bridge.command("list")
@json_option
@one_line_errors
def list_(as_json: bool) -> None:
    """List sources and targets: how far each is, what waits, what fails.

    Example: kapok bridge list --json
    """
    from sqlalchemy import select

    from fleet.bridge import cursors
    from fleet.bridge.north import outbox
    from fleet.bridge.tables import BridgeTarget

    with database() as db, db.read() as session:
        sources = [
            {
                "name": row.name, "kind": row.kind, "rows": row.rows, "stored": row.stored,
                "again": row.again, "conflicts": row.conflicts, "dead": row.dead,
                "read": iso(row.read_us), "cursor": row.cursor, "error": row.error,
            }
            for row in cursors.list_(session)
        ]  # fmt: skip
        targets = [
            {
                "name": row.name, "kind": row.kind, "sent": row.sent,
                **outbox.counts(session, row.name), "since": iso(row.failing_us),
                "error": row.error,
            }
            for row in session.scalars(select(BridgeTarget).order_by(BridgeTarget.name))
        ]  # fmt: skip
    if as_json:
        say_json({"sources": sources, "targets": targets})
        return
    for title, found in (("sources", sources), ("targets", targets)):
        if found:
            headings = list(found[0])
            say_table(title, headings, [[str(one[name]) for name in headings] for one in found])


@bridge.command()
@click.argument("name")
@_rows
@json_option
@one_line_errors
def dead(name: str, limit: int, as_json: bool) -> None:
    """Show rows of a source that could not be taken in, and why: the oldest.

    Example: kapok bridge dead scada
    """
    from fleet.bridge import cursors

    with database() as db, db.read() as session:
        cursors.known(session, name)
    letters = _letters(name)
    found = letters.all()
    if as_json:
        shown = [{**one._asdict(), "at": iso(one.at_us)} for one in found[:limit]]
        say_json({"file": str(letters.path), "count": len(found), "letters": shown})
        return
    rows = [[iso(one.at_us), one.place, one.why] for one in found[:limit]]
    say_table(f"dead letters of {name}", ["since", "row", "why"], rows)
    click.echo(f"{len(found)} in {letters.path}")


@bridge.command()
@click.argument("path", type=_file, metavar="MAPPING")
@json_option
@one_line_errors
def retry(path: Path, as_json: bool) -> None:
    """Take dead letters in by the mapping file and the registry as they are now.

    Those that are still refused stay. Exit code 1 when any do.

    Example: kapok bridge retry scada.toml
    """
    from fleet.bridge import mapping, pump

    mapped = mapping.read(path)
    with database() as db:
        counts, left = pump.retry(db, mapped.rules, _letters(mapped.name))
    if as_json:
        say_json({"tried": counts.rows, "stored": counts.stored, "left": len(left)})
    else:
        click.echo(f"{counts.rows} tried: {counts.stored} stored, {counts.again} known")
    if left:
        raise click.ClickException(f"{len(left)} are still refused: {left[0].why}")


@bridge.command()
@click.argument("name")
@one_line_errors
def rewind(name: str) -> None:
    """Read a source from its beginning again; what is known already is not stored twice.

    Of a drop folder, the files in it: move those that are to be read again back from done/.
    MQTT has no beginning: its broker keeps no message that was acknowledged.

    Example: kapok bridge rewind scada
    """
    from fleet.bridge.cursors import rewind

    with database() as db, db.begin() as session:
        kind = rewind(session, name)
    if kind == "folder":
        click.echo(f"{name} reads the files that you move back from its folder's done/")
    elif kind == "mqtt":
        click.echo(f"{name} has no beginning: the broker keeps nothing that was acknowledged")
    else:
        click.echo(f"{name} is read from its beginning at its next round")


def _letters(name: str) -> Any:
    from fleet.bridge import opening

    return opening.letters(data_folder(), name)
