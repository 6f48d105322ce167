"""`kapok alarm`: what is open, who has taken note, and what is over."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet import texts
from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.whoami import user_name

if TYPE_CHECKING:
    from fleet.alarms.operations import Listed

lang_option = click.option(
    "--lang", type=click.Choice(texts.LANGUAGES), help="Language; default: by LANG."
)
_ID = click.IntRange(0, 2**63 - 1)
_by_option = click.option("--by", default="", help="Who does it; default: the account.")


@click.group()
def alarm() -> None:
    """Alarms: list, acknowledge, clear.

    Example: kapok alarm list
    """


def _as_json(found: "Listed", lang: str) -> dict[str, Any]:
    from fleet.alarms.wording import text_of

    times = {
        name.removesuffix("_us"): iso(getattr(found, name))
        for name in ("first_us", "last_us", "acknowledged_us", "cleared_us")
    }
    return {**found._asdict(), **times, "text": text_of(found, lang)}


@alarm.command("list")
@click.option("--all", "history", is_flag=True, help="Those that are over too.")
@click.option("--subject", default="", help="Of one subject, such as a node id.")
@click.option(
    "--after", type=click.IntRange(0, 2**63 - 1), default=0, help="Continue behind this id."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@lang_option
@json_option
@one_line_errors
def list_(
    history: bool, subject: str, after: int, limit: int, lang: str | None, as_json: bool
) -> None:
    """List open alarms, oldest first.

    Example: kapok alarm list --lang zh
    """
    from fleet.alarms import operations

    chosen = lang or texts.language()
    with database() as db, db.read() as session:
        found = operations.list_(
            session, history=history, subject=subject, after=after, limit=limit
        )
    rows = [_as_json(each, chosen) for each in found]
    if as_json:
        say_json(rows)
        return
    if not rows:
        click.echo(texts.say("list.none", chosen))
        return
    table = [
        [
            str(row["id"]), texts.say(f"severity.{row['severity']}", chosen),
            texts.say(f"state.{row['state']}", chosen), row["kind"], row["subject"],
            str(row["times"]), row["last"], row["text"],
        ]
        for row in rows
    ]  # fmt: skip
    headings = ["id", "severity", "state", "kind", "subject", "times", "last", "text"]
    say_table(texts.say("list.alarms", chosen), headings, table)


@alarm.command()
@click.argument("alarm_id", type=_ID)
@_by_option
@json_option
@one_line_errors
def ack(alarm_id: int, by: str, as_json: bool) -> None:
    """Take note of an alarm; it stays open.

    Example: kapok alarm ack 7 --by "Li Wei"
    """
    from fleet.alarms.operations import acknowledge

    who = by or user_name()
    with database() as db, db.begin() as session:
        acknowledge(session, alarm_id, who)
    if as_json:
        say_json({"id": alarm_id, "acknowledged_by": who})
    else:
        click.echo(f"alarm {alarm_id} acknowledged by {who}")


@alarm.command()
@click.argument("alarm_id", type=_ID)
@_by_option
@json_option
@one_line_errors
def clear(alarm_id: int, by: str, as_json: bool) -> None:
    """Close an alarm whose cause is gone. A node in quarantine stays there: kapok node release.

    Example: kapok alarm clear 7
    """
    from fleet.alarms.operations import clear_by_id

    who = by or user_name()
    with database() as db, db.begin() as session:
        clear_by_id(session, alarm_id, who)
    if as_json:
        say_json({"id": alarm_id, "cleared_by": who})
    else:
        click.echo(f"alarm {alarm_id} cleared by {who}")
