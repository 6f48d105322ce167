"""`kapok rollout`: plan, preview and make rollouts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet import texts
from fleet.cli.common import (
    database,
    json_option,
    one_line_errors,
    say_json,
    say_table,
)
from fleet.cli.control_options import by_option, lang_option, limit_option
from fleet.cli.rollout_acts import add_acts
from fleet.cli.rollout_status import list_, nodes, status
from fleet.whoami import account, user_name

if TYPE_CHECKING:
    from fleet.rollouts.plan import Plan

_SEQUENCE = click.IntRange(1, 2**31 - 1)
# Of Plan, with its defaults: name of the option, type, default, help.
_PLAN: tuple[tuple[str, Any, Any, str], ...] = (
    (
        "canary",
        int,
        50,
        "How many nodes go first; others begin when all of them that can have ended.",
    ),
    ("stages", str, "5,20,75", "What follows, in percent of the rest."),
    ("done", int, 900, "How many in 1,000 of a stage must have ended before the next begins."),
    ("errors", int, 20, "How many in 1,000 may fail; surely more stop the rollout."),
    (
        "sample",
        int,
        50,
        "How many must have ended before that is judged; of fewer if most failed.",
    ),
    (
        "trip",
        int,
        0,
        "So many failures of the canary stop it; 0: a tenth, from 3 up to a half.",
    ),
    ("per-minute", int, 60, "Offers a minute at first."),
    ("factor", int, 20, "In tenths: how much faster it goes each time..."),
    ("every", int, 500, "...that so many more nodes have succeeded."),
    ("most-per-minute", int, 6000, "And no faster than this."),
    ("per-area", int, 500, "Updates under way at once in one area at most."),
    ("zone", str, "Asia/Shanghai", "Of the windows' local time."),
    ("battery-mv", int, None, "Only nodes whose battery has so much at least, or told nothing."),
    ("signal-dbm", int, None, "Only nodes with so much RSRP at least, or that told nothing."),
    ("retries", int, 2, "How often what failed is tried again by itself."),
    ("days", int, 90, "After so many days nodes that were not reached are let go, and it ends."),
)


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Every option of a plan."""
    command = click.option(
        "--late/--no-late", default=False,
        help="Take nodes that join within --days, too, as a last group.",
    )(command)  # fmt: skip
    command = click.option(
        "--window", "windows", multiple=True, metavar="WHEN",
        help="Offers are queued only then: 01:00-05:00 or mon-fri 22:00-04:00; repeated. A node"
        " that reports seldom takes its own at its next report, whenever that is.",
    )(command)  # fmt: skip
    for name, kind, default, text in reversed(_PLAN):
        command = click.option(
            f"--{name}", type=kind, default=default, show_default=default is not None, help=text
        )(command)
    return command


def plan_of(options: dict[str, Any]) -> "Plan":
    """What the options say; RolloutError for what is out of bounds."""
    from fleet.rollouts.errors import RolloutError
    from fleet.rollouts.plan import Plan, check

    try:
        stages = tuple(int(each) for each in options.pop("stages").split(","))
    except ValueError:
        raise RolloutError("stages are percentages that make 100, such as 5,20,75") from None
    return check(Plan(stages=stages, **{**options, "windows": tuple(options["windows"])}))


@click.group()
def rollout() -> None:
    """Rollouts of releases: preview, create, approve, start, watch, stop.

    Example: kapok rollout create july --release 7 --where "role = drainage and area = 4401"
    """


@rollout.command()
@click.argument("name")
@click.option("--release", "sequence", type=_SEQUENCE, required=True, help="Its sequence.")
@click.option("--where", "query", required=True, help="Which nodes: see kapok rollout preview.")
@click.option("--urgent", is_flag=True, help="Goes first, in no window, in a slot of its own.")
@plan_options
@by_option
@json_option
@one_line_errors
def create(
    name: str, sequence: int, query: str, urgent: bool, by: str, as_json: bool, **options: Any
) -> None:
    """Make a rollout: choose its nodes and their order. Nothing goes out before it is started.

    What may run where a valve is waits for a second person's approval.

    Example: kapok rollout create july --release 7 --where "role = gas-meter and area = 440106
    and version < 7" --canary 100 --window "mon-fri 01:00-05:00" --battery-mv 3300
    """
    from rich.console import Console
    from rich.progress import Progress

    from fleet.rollouts.creating import Wanted
    from fleet.rollouts.creating import create as make

    wanted = Wanted(name, sequence, query, plan_of(options), urgent)
    console = Console(stderr=True)
    with (
        database() as db,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("groups", total=None)
        made = make(
            db, wanted, by or user_name(), account=account(),
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    if as_json:
        say_json({"id": made.identifier, "nodes": made.nodes, "needs_approval": made.waits})
        return
    click.echo(f"rollout {name} for {made.nodes} node(s)")
    if made.waits:
        click.echo(f"it waits for a second person: kapok rollout approve {name}")
    else:
        click.echo(f"kapok rollout start {name}")


@rollout.command()
@click.option("--release", "sequence", type=_SEQUENCE, required=True, help="Its sequence.")
@click.option("--where", "query", required=True, help="Which nodes.")
@click.option("--node", "node_id", default="", help="Whether this one is in, and if not why.")
@click.option("--excluded", is_flag=True, help="Each node that is left out, with its reason.")
@click.option("--after", default="", help="Continue behind this node id.")
@plan_options
@limit_option
@lang_option
@json_option
@one_line_errors
def preview(
    sequence: int, query: str, node_id: str, excluded: bool, after: str, limit: int,
    lang: str | None, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Say how many nodes a rollout would have, and why others are left out. Changes nothing.

    A query compares role, area, board, version, battery, signal, tag, group, state, node and
    seen by =, !=, <, <=, >, >=, `in (a, b)`, `is known`, with `and`, `or`, `not`; `all` is all.

    Example: kapok rollout preview --release 7 --where "role = drainage and battery >= 3.3V"
    """
    from fleet.registry.operations import now_us
    from fleet.rollouts import preview as previews
    from fleet.rollouts.wording import excluded_text, headings, picture_text

    chosen, plan = lang or texts.language(), plan_of(options)
    with database() as db, db.read() as session:
        if node_id or excluded:
            found = (
                [previews.standing(session, sequence, query, node_id, now_us())]
                if node_id
                else previews.standings(session, sequence, query, now_us(), after, limit)
            )
            said = [(one.node, excluded_text(one, chosen) if one.reason else "") for one in found]
            if as_json:
                say_json([{**one._asdict(), "text": text} for one, (_, text) in
                          zip(found, said, strict=True)])  # fmt: skip
            elif node_id:
                click.echo(f"{node_id}: {said[0][1] or picture_text('in', chosen)}")
            else:
                titles = headings("node why", chosen)
                say_table(picture_text("excluded", chosen), titles, [list(each) for each in said])
            return
        seen = previews.preview(session, sequence, query, plan, now_us())
    reasons = [(each, excluded_text(each, chosen)) for each in seen.excluded]
    if as_json:
        left = [{**each._asdict(), "text": text} for each, text in reasons]
        say_json({**seen._asdict(), "areas": dict(seen.areas), "excluded": left})
        return
    groups = ", ".join(map(str, seen.groups))
    click.echo(picture_text("sizes", chosen, nodes=seen.nodes, groups=groups))
    if seen.needs_approval:
        click.echo(picture_text("approval", chosen))
    if seen.areas:
        areas = ", ".join(f"{code} {count}" for code, count in seen.areas[:5])
        click.echo(picture_text("areas", chosen, areas=areas, most=plan.per_area))
    if reasons:
        table = [[str(each.nodes), text] for each, text in reasons]
        say_table(picture_text("excluded", chosen), headings("nodes why", chosen), table)


add_acts(rollout)
rollout.add_command(status)
rollout.add_command(nodes)
rollout.add_command(list_)
