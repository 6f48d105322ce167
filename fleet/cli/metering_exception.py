"""`kapok metering exception`: the work-list of what is wrong with meters."""

import rich_click as click

from fleet.cli import migrate_office
from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.cli.metering_options import area_option, check_area
from fleet.cli.migrate_office import person_option

_KINDS = ["spike", "zero", "negative", "missing", "clock"]


@click.group()
def exception() -> None:
    """What somebody must look at: spikes, no use, what went back, silence, wrong clocks.

    Example: kapok metering exception list --area 440106
    """


@exception.command("list")
@area_option
@click.option("--kind", type=click.Choice(_KINDS), help="Only of this kind.")
@click.option("--closed", is_flag=True, help="Those that are closed instead.")
@click.option("--after", type=int, default=0, help="Behind this number.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def list_(
    area: str, kind: str | None, closed: bool, after: int, limit: int, as_json: bool
) -> None:
    """List exceptions.

    Example: kapok metering exception list --kind spike
    """
    from fleet.telemetry.metering import days, worklist
    from fleet.telemetry.operations import quantity_name

    check_area(area)
    states = (worklist.CLOSED,) if closed else (worklist.OPEN, worklist.TAKEN)
    with database() as db, db.read() as session:
        rows = worklist.listed(session, area, states, kind or "", after, limit)
    if as_json:
        say_json(
            [
                {**row._asdict(), "register": quantity_name(row.register),
                 "first_day": days.written(row.first_day), "last_day": days.written(row.last_day)}
                for row in rows
            ]
        )  # fmt: skip
        return
    say_table(
        "exceptions",
        ["number", "asset", "name", "area", "kind", "since", "to", "state", "who", "what", "end"],
        [
            [str(row.id), str(row.asset_id), row.name, row.area, row.kind,
             days.written(row.first_day), days.written(row.last_day), row.state, row.person,
             row.detail, f"{row.outcome} {iso(row.closed_us)}".strip()]
            for row in rows
        ],
    )  # fmt: skip


@exception.command()
@click.argument("number", type=click.IntRange(1))
@person_option
@json_option
@one_line_errors
def take(number: int, person: str, as_json: bool) -> None:
    """Say that you look at it.

    Example: kapok metering exception take 12
    """
    from fleet.telemetry.metering import worklist

    by = migrate_office.who(person)
    with database() as db, db.begin() as session:
        row = worklist.take(session, number, by)
    if as_json:
        say_json({"number": row.id, "state": row.state, "person": row.person})
    else:
        click.echo(f"exception {number} is with {by}")


@exception.command()
@click.argument("number", type=click.IntRange(1))
@click.option("--accept", is_flag=True, help="A spike: the readings are right, and count.")
@click.option("--reject", is_flag=True, help="A spike: the readings are wrong, for ever.")
@click.option("--note", default="", help="What was found.")
@person_option
@json_option
@one_line_errors
def close(number: int, accept: bool, reject: bool, note: str, person: str, as_json: bool) -> None:
    """Close one. Of a spike say whether its readings count; the next run reads the days again.

    Example: kapok metering exception close 12 --accept --note "a restaurant moved in"
    """
    from fleet.migration.states import Actor
    from fleet.registry.operations import check_text
    from fleet.telemetry.metering import deciding, worklist

    if accept and reject:
        raise click.UsageError("one of --accept and --reject")
    if not (accept or reject or note):
        raise click.UsageError("--note, and for a spike --accept or --reject")
    note = check_text(note, "--note") if note else ""
    outcome = worklist.ACCEPTED if accept else worklist.REJECTED if reject else worklist.NOTED
    by = migrate_office.who(person)
    with migrate_office.office() as office, office.database.begin() as session:
        desk = office.desk(session, Actor.PERSON, by)
        count = deciding.close(desk, number, outcome, note)
    if as_json:
        say_json({"number": number, "outcome": outcome, "readings": count})
    else:
        click.echo(f"exception {number} {outcome}, {count} reading(s)")
