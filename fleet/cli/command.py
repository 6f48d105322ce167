"""`kapok command`: ask nodes to do something, approve it, see what became of it."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet import texts
from fleet.cli.common import (
    database,
    iso,
    json_option,
    one_line_errors,
    say_json,
    say_table,
    settings,
)
from fleet.cli.control_options import (
    Duration,
    by_option,
    lang_option,
    limit_option,
    target_options,
    targets_of,
)
from fleet.whoami import account, user_name

if TYPE_CHECKING:
    from fleet.control.command_lists import Listed

_ID = click.IntRange(1, 2**30 - 1)
_STATES = ("queued", "delivered", "executed", "refused", "expired")


@click.group()
def command() -> None:
    """Commands to nodes: send, approve, cancel, list, show.

    Example: kapok command send read-now --node 1gntj14d2p
    """


@command.command()
@lang_option
@json_option
@one_line_errors
def known(lang: str | None, as_json: bool) -> None:
    """List the commands that there are, their arguments, and which need two persons.

    Example: kapok command known
    """
    from fleet.control.catalogue import KNOWN
    from fleet.control.wording import name_text

    chosen = lang or texts.language()
    rows = [
        {
            "name": one.name,
            "arguments": [[a.name, a.least, a.most] for a in one.arguments],
            "roles": list(one.roles),
            "two_persons": one.valve,
            "text": name_text(one.name, chosen),
        }
        for one in KNOWN
    ]
    if as_json:
        say_json(rows)
        return
    table = [
        [
            str(row["name"]),
            " ".join(f"{a.name.upper()} ({a.least}..{a.most})" for a in one.arguments),
            ", ".join(one.roles) or "all",
            "two persons" if one.valve else "",
            str(row["text"]),
        ]
        for row, one in zip(rows, KNOWN, strict=True)
    ]
    say_table("commands", ["command", "arguments", "roles", "needs", "text"], table)


@command.command()
@click.argument("name")
@click.argument("arguments", nargs=-1, type=int)
@target_options
@click.option(
    "--for", "lives_s", type=Duration(), default="48h", show_default=True,
    help="How long it waits for nodes that sleep: the life of its approval.",
)  # fmt: skip
@click.option(
    "--per-minute", type=click.IntRange(1, 100_000), default=60, show_default=True,
    help="To how many nodes at most it goes in a minute.",
)  # fmt: skip
@by_option
@json_option
@one_line_errors
def send(
    name: str,
    arguments: tuple[int, ...],
    node_ids: tuple[str, ...],
    group: str,
    area: str,
    role: str,
    lives_s: int,
    per_minute: int,
    by: str,
    as_json: bool,
) -> None:
    """Ask nodes to do something. What moves a valve waits for a second person's approval.

    A command reaches a node with the answer to its next report, signed then and good for ten
    minutes. To many nodes it goes at a rate, while kapok serve runs.

    Example: kapok command send valve-close --node 1gntj14d2p --for 24h
    """
    from fleet.control.commands import Wanted, ask

    targets = targets_of(node_ids, group, area, role)
    chosen = settings()
    with database(needs=chosen) as db, db.begin() as session:
        wanted = Wanted(name, arguments, targets, lives_s, per_minute)
        asked = ask(session, wanted, by or user_name(), chosen.limits, account=account())
    if as_json:
        say_json({"id": asked.identifier, **asked._asdict()})
        return
    more = f", {asked.left_out} left out: of another role" if asked.left_out else ""
    click.echo(f"command {asked.identifier} for {asked.nodes} node(s){more}")
    if not asked.approved:
        click.echo(f"it waits for a second person: kapok command approve {asked.identifier}")


@command.command()
@click.argument("command_id", type=_ID)
@by_option
@json_option
@one_line_errors
def approve(command_id: int, by: str, as_json: bool) -> None:
    """Approve a command that another person asked for, under another account of this machine.

    Example: kapok command approve 7 --by "Wang Fang"
    """
    from fleet.control import commands

    chosen, who = settings(), by or user_name()
    with database(needs=chosen) as db, db.begin() as session:
        until = commands.approve(
            session, command_id, who, chosen.limits, account=account(),
            one_account=chosen.one_account,
        )  # fmt: skip
    if as_json:
        say_json({"id": command_id, "approved_by": who, "until": iso(until)})
    else:
        click.echo(f"command {command_id} approved by {who}, until {iso(until)}")


@command.command()
@click.argument("command_id", type=_ID)
@by_option
@json_option
@one_line_errors
def cancel(command_id: int, by: str, as_json: bool) -> None:
    """Take a command back. Nodes that were given it may still do it within ten minutes.

    Example: kapok command cancel 7
    """
    from fleet.control import commands

    who = by or user_name()
    with database() as db, db.begin() as session:
        spared = commands.cancel(session, command_id, who)
    if as_json:
        say_json({"id": command_id, "cancelled_by": who, "spared": spared})
    else:
        click.echo(f"command {command_id} taken back by {who}: {spared} node(s) do not get it")


@command.command("list")
@click.option("--all", "history", is_flag=True, help="Those that are over too.")
@click.option("--node", "node_id", default="", help="Only those for a node.")
@click.option("--before", type=_ID, help="Continue with those before this id.")
@limit_option
@lang_option
@json_option
@one_line_errors
def list_(
    history: bool, node_id: str, before: int | None, limit: int, lang: str | None, as_json: bool
) -> None:
    """List commands, the newest first.

    Example: kapok command list --node 1gntj14d2p --all
    """
    from fleet.control import command_lists
    from fleet.control.wording import name_text
    from fleet.registry.operations import show_node

    chosen = lang or texts.language()
    with database() as db, db.read() as session:
        if node_id:
            show_node(session, node_id)
        found = command_lists.list_(
            session, history=history, node_id=node_id, before=before or 0, limit=limit
        )
    if as_json:
        say_json([_as_json(one) for one in found])
        return
    table = [
        [
            str(one.id), " ".join([name_text(one.name, chosen), *map(str, one.arguments)]),
            one.target, texts.say(f"order.{one.state}", chosen), one.asked_by,
            one.approved_by or "", iso(one.until_us), _nodes(one, chosen),
        ]
        for one in found
    ]  # fmt: skip
    headings = ["id", "command", "for", "state", "asked by", "approved by", "until", "nodes"]
    say_table("commands", headings, table)


@command.command()
@click.argument("command_id", type=_ID)
@click.option("--state", type=click.Choice(_STATES), help="Only nodes in this state.")
@click.option("--after", default="", help="Continue behind this node id.")
@limit_option
@lang_option
@json_option
@one_line_errors
def show(
    command_id: int, state: str | None, after: str, limit: int, lang: str | None, as_json: bool
) -> None:
    """Show a command, and what became of it at each node.

    Example: kapok command show 7 --state refused
    """
    from fleet.control import command_lists
    from fleet.control.wording import name_text, part_text

    chosen = lang or texts.language()
    with database() as db, db.read() as session:
        found = command_lists.show(session, command_id)
        parts = command_lists.parts(
            session, command_id, state=state or "", after=after, limit=limit
        )
    if as_json:
        nodes = [{**_part(each), "text": part_text(each, chosen)} for each in parts]
        say_json({**_as_json(found), "parts": nodes})
        return
    words = " ".join([name_text(found.name, chosen), *map(str, found.arguments)])
    click.echo(f"command {found.id}: {words} | {found.target}")
    click.echo(f"{texts.say(f'order.{found.state}', chosen)}: {_nodes(found, chosen)}")
    click.echo(f"{found.asked_by} {iso(found.asked_us)}, {found.approved_by or '-'}"
               f" {iso(found.approved_us)}; until {iso(found.until_us)}")  # fmt: skip
    table = [
        [
            each.node, texts.say(f"delivery.{each.state}", chosen), str(each.number or ""),
            iso(each.delivered_us), iso(each.ended_us), part_text(each, chosen),
        ]
        for each in parts
    ]  # fmt: skip
    say_table("nodes", ["node", "state", "item", "delivered", "ended", "text"], table)


def _as_json(one: "Listed") -> dict[str, Any]:
    times = {
        name.removesuffix("_us"): iso(getattr(one, name))
        for name in ("asked_us", "approved_us", "until_us")
    }
    kept = {key: value for key, value in one._asdict().items() if not key.endswith("_us")}
    return {**kept, **times, "nodes": dict(one.nodes)}


def _part(each: Any) -> dict[str, Any]:
    found = each._asdict()
    return {
        **{key: value for key, value in found.items() if not key.endswith("_us")},
        "delivered": iso(each.delivered_us),
        "ended": iso(each.ended_us),
    }


def _nodes(one: "Listed", lang: str) -> str:
    return ", ".join(
        f"{one.nodes[state]} {texts.say(f'delivery.{state}', lang)}"
        for state in _STATES
        if one.nodes.get(state)
    )
