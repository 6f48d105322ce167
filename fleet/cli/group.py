"""`kapok group`: nodes under a name, for commands and configuration."""

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json, say_table
from fleet.cli.control_options import limit_option


@click.group()
def group() -> None:
    """Groups of nodes: add, join, leave, list, show, remove.

    Example: kapok group add pilots && kapok group join pilots 1gntj14d2p
    """


@group.command()
@click.argument("name")
@click.option(
    "--rank", type=click.IntRange(-1000, 1000), default=0, show_default=True,
    help="Of two groups that want a key of a node, the higher rank wins.",
)  # fmt: skip
@json_option
@one_line_errors
def add(name: str, rank: int, as_json: bool) -> None:
    """Make a group, or give one another rank.

    Example: kapok group add pilots --rank 10
    """
    from fleet.control import groups

    with database() as db, db.begin() as session:
        groups.add(session, name, rank)
    if as_json:
        say_json({"name": name, "rank": rank})
    else:
        click.echo(f"group {name}, rank {rank}")


@group.command()
@click.argument("name")
@click.argument("node_ids", nargs=-1, required=True, metavar="NODE...")
@json_option
@one_line_errors
def join(name: str, node_ids: tuple[str, ...], as_json: bool) -> None:
    """Put nodes into a group; what it wants of them is queued at once.

    Example: kapok group join pilots 1gntj14d2p
    """
    from fleet.control import groups

    with database() as db, db.begin() as session:
        count = groups.join(session, name, node_ids)
    if as_json:
        say_json({"name": name, "joined": count})
    else:
        click.echo(f"{count} node(s) joined {name}")


@group.command()
@click.argument("name")
@click.argument("node_ids", nargs=-1, required=True, metavar="NODE...")
@json_option
@one_line_errors
def leave(name: str, node_ids: tuple[str, ...], as_json: bool) -> None:
    """Take nodes out of a group.

    Example: kapok group leave pilots 1gntj14d2p
    """
    from fleet.control import groups

    with database() as db, db.begin() as session:
        count = groups.leave(session, name, node_ids)
    if as_json:
        say_json({"name": name, "left": count})
    else:
        click.echo(f"{count} node(s) left {name}")


@group.command()
@click.argument("name")
@json_option
@one_line_errors
def remove(name: str, as_json: bool) -> None:
    """Forget a group that has no nodes any more, and what was wanted of it.

    Example: kapok group remove pilots
    """
    from fleet.control import groups

    with database() as db, db.begin() as session:
        groups.remove(session, name)
    if as_json:
        say_json({"name": name, "removed": True})
    else:
        click.echo(f"group {name} removed")


@group.command("list")
@click.option("--after", default="", help="Continue behind this name.")
@limit_option
@json_option
@one_line_errors
def list_(after: str, limit: int, as_json: bool) -> None:
    """List groups by name.

    Example: kapok group list --json
    """
    from fleet.control import groups

    with database() as db, db.read() as session:
        found = groups.list_(session, after, limit)
    if as_json:
        say_json([one._asdict() for one in found])
    else:
        rows = [[one.name, str(one.rank), str(one.nodes)] for one in found]
        say_table("groups", ["name", "rank", "nodes"], rows)


@group.command()
@click.argument("name")
@click.option("--after", default="", help="Continue behind this node id.")
@limit_option
@json_option
@one_line_errors
def show(name: str, after: str, limit: int, as_json: bool) -> None:
    """List the nodes of a group.

    Example: kapok group show pilots
    """
    from fleet.control import groups

    with database() as db, db.read() as session:
        found = groups.members(session, name, after, limit)
    if as_json:
        say_json(found)
    else:
        for node_id in found:
            click.echo(node_id)
