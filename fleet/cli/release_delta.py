"""`kapok release delta`: which deltas there are, and make those that are wanted."""

import rich_click as click

from fleet.cli.common import (
    database,
    iso,
    json_option,
    log_to_stderr,
    one_line_errors,
    say_json,
    say_table,
)
from fleet.cli.release_types import SEQUENCE


@click.group()
def delta() -> None:
    """Deltas between releases. `kapok serve` makes them by itself.

    Example: kapok release delta list
    """


@delta.command(name="list")
@click.option("--to", "sequence", type=SEQUENCE, help="To this release; default: all.")
@json_option
@one_line_errors
def list_(sequence: int | None, as_json: bool) -> None:
    """List them. Only one that is ready was proved by applying it, and is sent to nodes.

    Example: kapok release delta list --to 12
    """
    from fleet.releases import deltas

    with database() as db, db.read() as session:
        rows = [
            {
                "from": one.base_sequence,
                "to": one.sequence,
                "base": one.base.hex(),
                "state": one.state,
                "bytes": size,
                "changed": iso(one.changed_us),
                "reason": one.reason,
            }
            for one, size in deltas.listed(session, sequence)
        ]
    if as_json:
        say_json(rows)
    else:
        headings = ["from", "to", "base", "state", "bytes", "changed", "reason"]
        say_table("Deltas", headings, [[str(each) for each in row.values()] for row in rows])


@delta.command()
@click.option("--to", "sequence", type=SEQUENCE, help="Also those to it that failed.")
@json_option
@one_line_errors
def build(sequence: int | None, as_json: bool) -> None:
    """Make every delta that is wanted, here and now.

    Example: kapok release delta build
    """
    from fleet.registry.operations import now_us
    from fleet.releases import deltas, workshop

    log_to_stderr()
    workshop.check()
    with database() as db:
        if sequence is not None:
            with db.begin() as session:
                deltas.again(session, sequence, now_us())
        count = workshop.make_all(db)
    if as_json:
        say_json({"made": count})
    else:
        click.echo(f"{count} deltas: kapok release delta list")
