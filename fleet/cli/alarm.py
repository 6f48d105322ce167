"""`kapok alarm`: what is open, who sees to it, and what is over."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet import texts
from fleet.cli.alarm_channel import channel
from fleet.cli.alarm_maintenance import maintenance
from fleet.cli.alarm_pack import pack
from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.whoami import user_name

if TYPE_CHECKING:
    from fleet.alarms.listing import Listed
    from fleet.alarms.packs import Rules

lang_option = click.option(
    "--lang", type=click.Choice(texts.LANGUAGES), help="Language; default: by LANG."
)
_ID = click.IntRange(0, 2**63 - 1)
_by_option = click.option("--by", default="", help="Who does it; default: the account.")
_TIMES = ("first_us", "last_us", "began_us", "ended_us", "acknowledged_us", "assigned_us",
          "cleared_us")  # fmt: skip


@click.group()
def alarm() -> None:
    """Alarms: list, show, acknowledge, assign, comment, clear; rules, channels, maintenance.

    Example: kapok alarm list
    """


alarm.add_command(channel)
alarm.add_command(maintenance)
alarm.add_command(pack)


def _as_json(found: "Listed", lang: str, rules: "Rules") -> dict[str, Any]:
    from fleet.alarms.wording import text_of

    times = {name.removesuffix("_us"): iso(getattr(found, name)) for name in _TIMES}
    text = text_of(found, lang, rules.by_kind.get(found.kind))
    return {**found._asdict(), **times, "text": text}


@alarm.command("list")
@click.option("--all", "history", is_flag=True, help="Those that are over too.")
@click.option("--silenced", is_flag=True, help="Those under maintenance or another alarm too.")
@click.option("--subject", default="", help="Of one subject, such as asset-17 or a node id.")
@click.option("--node", default="", help="Of what this node serves, or its own.")
@click.option("--asset", type=click.IntRange(1), help="Of one asset, by its number.")
@click.option("--area", default="", help="Of an area and all within it.")
@click.option("--severity", type=click.Choice(["notice", "warning", "critical"]),
              help="This and graver.")  # fmt: skip
@click.option("--to", "assigned_to", default="", help="Assigned to somebody.")
@click.option("--after", type=_ID, default=0, help="Continue behind this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@lang_option
@json_option
@one_line_errors
def list_(
    history: bool,
    silenced: bool,
    subject: str,
    node: str,
    asset: int | None,
    area: str,
    severity: str | None,
    assigned_to: str,
    after: int,
    limit: int,
    lang: str | None,
    as_json: bool,
) -> None:
    """List open alarms, oldest first.

    Example: kapok alarm list --area 440106 --severity critical --lang zh
    """
    from fleet.alarms import listing, packs

    chosen = lang or texts.language()
    wanted = listing.Filter(
        history, silenced, subject, node, asset, area, severity or "", assigned_to
    )
    with database() as db, db.read() as session:
        found = listing.list_(session, wanted, after, limit)
        rules = packs.in_force(session)
    rows = [_as_json(each, chosen, rules) for each in found]
    if as_json:
        say_json(rows)
        return
    if not rows:
        click.echo(texts.say("list.none", chosen))
        return
    table = [
        [
            str(row["id"]), texts.say(f"severity.{row['severity']}", chosen),
            _state(row, chosen), row["kind"], row["subject"], row["assigned_to"] or "",
            str(row["times"]), row["last"], row["text"],
        ]
        for row in rows
    ]  # fmt: skip
    headings = ["id", "severity", "state", "kind", "subject", "to", "times", "last", "text"]
    say_table(texts.say("list.alarms", chosen), headings, table)


def _state(row: dict[str, Any], lang: str) -> str:
    if row["silenced_by"]:
        return texts.say("list.silenced", lang, {"by": row["silenced_by"]})
    return texts.say(f"state.{row['state']}", lang)


@alarm.command()
@click.argument("alarm_id", type=_ID)
@lang_option
@json_option
@one_line_errors
def show(alarm_id: int, lang: str | None, as_json: bool) -> None:
    """Show an alarm, what was done about it, and the alarms for which it stands.

    Example: kapok alarm show 7
    """
    from fleet.alarms import acts, listing, packs

    chosen = lang or texts.language()
    with database() as db, db.read() as session:
        found = listing.show(session, alarm_id)
        rules = packs.in_force(session)
        done = acts.of(session, alarm_id)
        children = [each.id for each in listing.children(session, alarm_id)]
    row = _as_json(found, chosen, rules)
    if as_json:
        history = [{**act._asdict(), "time": iso(act.time_us)} for act in done]
        say_json({**row, "acts": history, "children": children})
        return
    click.echo(f"{alarm_id} {found.kind} {found.subject}: {_state(row, chosen)}")
    click.echo(row["text"])
    for name in ("severity", "times", "first", "last", "began", "ended", "node", "area",
                 "acknowledged_by", "assigned_to", "escalated", "cleared_by"):  # fmt: skip
        if row[name]:
            click.echo(f"  {name.replace('_', ' ')}: {row[name]}")
    for act in done:
        click.echo(
            f"  {iso(act.time_us)} {act.person} {texts.say(f'act.{act.act}', chosen)}"
            f"{': ' if act.text else ''}{act.text}"
        )
    if children:
        click.echo(f"  stands for: {', '.join(map(str, children))}")


@alarm.command()
@click.argument("alarm_id", type=_ID)
@_by_option
@json_option
@one_line_errors
def ack(alarm_id: int, by: str, as_json: bool) -> None:
    """Take note of an alarm; it stays open, and does not escalate.

    Example: kapok alarm ack 7 --by "Li Wei"
    """
    from fleet.alarms.operations import acknowledge

    who = by or user_name()
    with database() as db, db.begin() as session:
        acknowledge(session, alarm_id, who)
    _done(as_json, f"alarm {alarm_id} acknowledged by {who}", id=alarm_id, acknowledged_by=who)


@alarm.command()
@click.argument("alarm_id", type=_ID)
@click.option("--to", required=True, help="Who is to see to it.")
@_by_option
@json_option
@one_line_errors
def assign(alarm_id: int, to: str, by: str, as_json: bool) -> None:
    """Have somebody see to an alarm; that takes note of it too.

    Example: kapok alarm assign 7 --to "Wang Fang" --by "Li Wei"
    """
    from fleet.alarms.operations import assign as assign_

    with database() as db, db.begin() as session:
        assign_(session, alarm_id, to, by or user_name())
    _done(as_json, f"alarm {alarm_id} assigned to {to}", id=alarm_id, assigned_to=to)


@alarm.command()
@click.argument("alarm_id", type=_ID)
@click.argument("text")
@_by_option
@json_option
@one_line_errors
def comment(alarm_id: int, text: str, by: str, as_json: bool) -> None:
    """Note something about an alarm, also about one that is over.

    Example: kapok alarm comment 7 "pump on its way"
    """
    from fleet.alarms.operations import comment as comment_

    who = by or user_name()
    with database() as db, db.begin() as session:
        comment_(session, alarm_id, text, who)
    _done(as_json, f"noted for alarm {alarm_id}", id=alarm_id, by=who, text=text)


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
    _done(as_json, f"alarm {alarm_id} cleared by {who}", id=alarm_id, cleared_by=who)


def _done(as_json: bool, line: str, **values: Any) -> None:
    if as_json:
        say_json(values)
    else:
        click.echo(line)
