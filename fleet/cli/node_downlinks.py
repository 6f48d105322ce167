"""What waits for nodes: `kapok node configure`, `kapok node downlinks`."""

import json
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.cli.control_options import Setting

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def shown(session: "Session", node_id: str) -> dict[str, Any]:
    """What a node told of its downlinks, and the patches that it has in force."""
    from fleet.control.configuration import applied
    from fleet.control.operations import progress

    told, found = progress(session, node_id), applied(session, node_id)
    return {
        "applied": found.number,
        "handled": told.handled,
        "refused": told.refused,
        "values": json.loads(json.dumps(found.values, default=bytes.hex)),
    }


@click.command()
@click.argument("node_id")
@click.argument("values", nargs=-1, required=True, type=Setting(), metavar="KEY=VALUE...")
@json_option
@one_line_errors
def configure(node_id: str, values: tuple[tuple[str, Any], ...], as_json: bool) -> None:
    """Send a node one patch of its configuration, as it is: the node says what it makes of it.

    Values are JSON, or else text; KEY= deletes a key. The patch goes out with the answer to the
    node's next report; `kapok node show` tells what is in force. What a node is to have for good,
    and after it is provisioned anew too, is wanted by kapok config set.

    Example: kapok node configure 1gntj14d2p report_s=3600 apn=cmnbiot
    """
    from fleet.control import configuration
    from fleet.registry.operations import show_node

    patch = dict(values)
    if len(patch) < len(values):
        raise click.UsageError("a key is given twice")
    with database() as db, db.begin() as session:
        found = show_node(session, node_id)
        if found.state == "revoked":
            raise click.ClickException(f"node {node_id} is revoked: it gets nothing")
        number = configuration.configure(session, node_id, patch)
    if as_json:
        say_json({"id": node_id, "number": number})
    else:
        click.echo(f"downlink {number} waits for node {node_id}")


@click.command()
@click.argument("node_id")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def downlinks(node_id: str, limit: int, as_json: bool) -> None:
    """List what was queued for a node, the newest last.

    queued: not sent yet; handed: in an answer, not confirmed; settled, refused: as the node told.

    Example: kapok node downlinks 1gntj14d2p
    """
    from fleet import texts
    from fleet.control.history import list_
    from fleet.control.wording import result_text
    from fleet.registry.operations import show_node

    lang = texts.language()
    with database() as db, db.read() as session:
        show_node(session, node_id)
        found = list_(session, node_id, limit)
    rows = [
        {
            "number": one.number,
            "kind": one.kind,
            "state": one.state,
            "bytes": one.size,
            "created": iso(one.created_us),
            "expires": iso(one.expires_us),
            "handed": iso(one.handed_us),
            "settled": iso(one.settled_us),
            "said": "" if one.result is None else result_text(one.result, one.detail, lang),
        }
        for one in found
    ]
    if as_json:
        say_json(rows)
        return
    headings = [
        "number",
        "kind",
        "state",
        "bytes",
        "created",
        "expires",
        "handed",
        "settled",
        "said",
    ]
    say_table("downlinks", headings, [[str(row[h]) for h in headings] for row in rows])
