"""`kapok node health`: of what nodes died, what their logs say, and where their time went."""

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table

_DAYS = 30
_DAY_US = 86_400_000_000
_LEDGER_DAYS = 8


@click.command()
@click.argument("node_id", required=False)
@click.option("--days", type=click.IntRange(1, 3650), default=_DAYS, show_default=True)
@json_option
@one_line_errors
def health(node_id: str | None, days: int, as_json: bool) -> None:
    """Show a node's crashes, the log that was pulled from it and its newest energy ledger; without
    NODE_ID the faults of the whole fleet, those that hit most nodes first.

    Example: kapok node health 1gntj14d2p
    """
    if node_id is None:
        _fleet(days, as_json)
        return
    from fleet.registry import health as operations
    from fleet.registry.operations import now_us, show_node
    from fleet.telemetry import operations as telemetry

    since_us = now_us() - _LEDGER_DAYS * _DAY_US
    with database() as db, db.read() as session:
        show_node(session, node_id)  # refuses one that is unknown
        crashes = operations.crashes_of(session, node_id)
        entries = operations.log_of(session, node_id)
        ledger = telemetry.newest(session, node_id, range(100, 200), since_us)
    named = {telemetry.quantity_name(r.quantity): r for r in ledger}
    if as_json:
        say_json(
            {
                "crashes": [{**c._asdict(), "at": iso(c.at_us)} for c in crashes],
                "log": [{**e._asdict(), "at": iso(e.at_us)} for e in entries],
                "ledger": {name: r.value for name, r in named.items()},
            }
        )
        return
    for name, row in named.items():
        click.echo(f"{name:<18}{telemetry.written(row.quantity, row.value)}")
    headings = ["reported", "module", "line", "traceback", "heap", "life began by"]
    say_table(
        "crashes", headings,
        [
            [iso(c.at_us), c.module, str(c.line), c.traceback, str(c.heap), c.cause]
            for c in crashes
        ],
    )  # fmt: skip
    headings = ["at", "what", "number", "which is"]
    rows = [[iso(e.at_us), e.name, str(e.argument), e.means] for e in entries]
    say_table("log entries", headings, rows)


def _fleet(days: int, as_json: bool) -> None:
    from fleet.registry import health as operations
    from fleet.registry.operations import now_us

    with database() as db, db.read() as session:
        found = operations.faults(session, now_us() - days * _DAY_US)
    if as_json:
        say_json([{**one._asdict(), "at": iso(one.at_us)} for one in found])
        return
    headings = ["nodes", "times", "module", "line", "traceback", "least heap", "newest"]
    rows = [
        [str(f.nodes), str(f.times), f.module, str(f.line), f.traceback, str(f.heap), iso(f.at_us)]
        for f in found
    ]
    say_table("faults", headings, rows)
