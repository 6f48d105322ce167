"""`kapok alarm maintenance`: where somebody works, alarms are kept and nobody is told."""

import math
import time
from datetime import datetime, timedelta, timezone

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.whoami import user_name

_by_option = click.option("--by", default="", help="Who does it; default: the account.")


@click.group()
def maintenance() -> None:
    """Maintenance: alarms are kept, and nobody is told until its end.

    Example: kapok alarm maintenance list
    """


@maintenance.command()
@click.option("--node", help="A node and what it serves.")
@click.option("--asset", help="An asset, by its number.")
@click.option("--area", help="An area and all within; critical alarms are told all the same.")
@click.option("--hours", type=click.FloatRange(0.01, 90 * 24), help="How long.")
@click.option("--until", help="Or until when: 2026-11-30T18:00, China's time.")
@click.option("--reason", required=True, help="What is done there.")
@_by_option
@json_option
@one_line_errors
def start(
    node: str | None,
    asset: str | None,
    area: str | None,
    hours: float | None,
    until: str | None,
    reason: str,
    by: str,
    as_json: bool,
) -> None:
    """Begin maintenance, which always has an end.

    Example: kapok alarm maintenance start --area 440106001 --hours 4 --reason "cabinet replaced"
    """
    from fleet.alarms import silence

    scopes = [(silence.NODE, node), (silence.ASSET, asset), (silence.AREA, area)]
    given = [(scope, target) for scope, target in scopes if target is not None]
    if len(given) != 1:
        raise click.UsageError("one of --node, --asset and --area")
    if hours is not None and math.isnan(hours):  # no bound of a range refuses it
        raise click.UsageError("--hours is a number")
    if (hours is None) == (until is None):
        raise click.UsageError("one of --hours and --until")
    end_us = _moment(until) if until else int((time.time() + (hours or 0) * 3600) * 1_000_000)
    (scope, target), who = given[0], by or user_name()
    with database() as db, db.begin() as session:
        number = silence.start(session, scope, target, end_us, reason, who)
    if as_json:
        say_json({"id": number, "scope": scope, "target": target, "until": iso(end_us)})
    else:
        click.echo(f"maintenance {number} of {scope} {target} until {iso(end_us)}")


@maintenance.command()
@click.argument("number", type=click.IntRange(1, 2**31))
@_by_option
@json_option
@one_line_errors
def end(number: int, by: str, as_json: bool) -> None:
    """End maintenance before its time; what is still open is told then.

    Example: kapok alarm maintenance end 3
    """
    from fleet.alarms import silence

    with database() as db, db.begin() as session:
        silence.end(session, number, by or user_name())
    if as_json:
        say_json({"ended": number})
    else:
        click.echo(f"maintenance {number} has ended")


@maintenance.command("list")
@click.option("--all", "history", is_flag=True, help="Those that are over too.")
@json_option
@one_line_errors
def list_(history: bool, as_json: bool) -> None:
    """List maintenance in force, newest first.

    Example: kapok alarm maintenance list --all
    """
    from fleet.alarms import silence

    with database() as db, db.read() as session:
        found = silence.list_(session, history=history)
    if as_json:
        say_json(
            [{**each._asdict(), "from": iso(each.from_us), "until": iso(each.until_us),
              "ended": iso(each.ended_us)} for each in found]
        )  # fmt: skip
        return
    rows = [
        [str(each.id), each.scope, each.target, iso(each.from_us), iso(each.until_us),
         iso(each.ended_us), each.person, each.reason]
        for each in found
    ]  # fmt: skip
    headings = ["id", "of", "", "from", "until", "ended", "by", "reason"]
    say_table("maintenance", headings, rows)


def _moment(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--until {text[:40]!r}: such as 2026-11-30T18:00") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=timezone(timedelta(hours=8)))
    return int(found.timestamp() * 1_000_000)
