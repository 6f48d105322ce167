"""`kapok node tag`: words by which people choose nodes."""

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json


@click.command()
@click.argument("node_ids", nargs=-1, required=True, metavar="NODE...")
@click.option("--add", multiple=True, metavar="TAG", help="Give this tag; repeated.")
@click.option("--remove", multiple=True, metavar="TAG", help="Take this tag; repeated.")
@json_option
@one_line_errors
def tag(
    node_ids: tuple[str, ...], add: tuple[str, ...], remove: tuple[str, ...], as_json: bool
) -> None:
    """Give tags to nodes, take them, or show which they have.

    Queries choose by them: kapok node list --where "tag = pilot".

    Example: kapok node tag 1gntj14d2p 1gntj14d2q --add pilot
    """
    from fleet.registry import tags
    from fleet.registry.operations import show_node

    with database() as db, db.begin() as session:
        if add or remove:
            tags.change(session, node_ids, add, remove)
        found = {each: tags.of(session, show_node(session, each).id) for each in node_ids}
    if as_json:
        say_json(found)
        return
    for node_id, several in found.items():
        click.echo(f"{node_id}: {', '.join(several) or '-'}")
