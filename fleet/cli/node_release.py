"""`kapok node release`: the end of a quarantine."""

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json
from fleet.whoami import user_name


@click.command()
@click.argument("node_id")
@click.option("--by", default="", help="Who does it; default: the account.")
@json_option
@one_line_errors
def release(node_id: str, by: str, as_json: bool) -> None:
    """End a node's quarantine and its alarm; its reports count again.

    Whoever copied its keys has them still: visit the node, give it new ones, then release it.

    Example: kapok node release 1gntj14d2p
    """
    from fleet.clones import operations as clones
    from fleet.identity import oscore
    from fleet.uplink import contents

    with database() as db, db.begin() as session:
        clones.release(session, node_id, by or user_name())
        contents.forget(session, node_id)
        oscore.forget_contents(session, node_id)
    if as_json:
        say_json({"id": node_id, "state": "active"})
    else:
        click.echo(
            f"node {node_id} is heard again. Its keys may be known to others: "
            f"kapok node rotate {node_id}, kapok node rotate {node_id} --certificate"
        )
