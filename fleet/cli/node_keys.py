"""OSCORE keys of nodes: `kapok node rotate`, `kapok node distrust`, and what `add` needs."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from fleet.settings import Settings


def new_blob(session: "Session", chosen: "Settings", node_id: str) -> bytes:
    """Make a node's first OSCORE context; CBOR [kid, secret], as its NVS keeps it."""
    from fleet.identity import oscore
    from fleet.identity.secret import SecretBytes
    from fleet.identity.wrapping import open_wrapper
    from fleet.wire import cbor

    made = oscore.new_context(session, open_wrapper(chosen), node_id)
    return SecretBytes(cbor.encode([made.kid, made.secret]))


def new_hmac(session: "Session", chosen: "Settings", node_id: str) -> bytes:
    """A first key of the node's commands, as its NVS has it."""
    from fleet.identity import hmac_keys
    from fleet.identity.wrapping import open_wrapper

    key = hmac_keys.next_key(session, open_wrapper(chosen), node_id)
    hmac_keys.promote(session, node_id)
    return key


def shown(session: "Session", node_id: str) -> list[dict[str, Any]]:
    """A node's live contexts for people: no secret."""
    from fleet.identity.contexts import live

    return [
        {
            "kid": one.kid.hex(),
            "state": one.state,
            "trusted": one.trusted,
            "created": iso(one.created_us),
        }
        for one in live(session, node_id)
    ]


@click.command()
@click.argument("node_id")
@click.option("--certificate", is_flag=True, help="A new certificate instead.")
@json_option
@one_line_errors
def rotate(node_id: str, certificate: bool, as_json: bool) -> None:
    """Give a node a new OSCORE key over the air, or with --certificate a new certificate.

    The certificate is for the spare key that the node has had since it was provisioned; the old
    one is revoked when the node first uses the new one. The next spare comes with the next visit.

    A key goes out with the answer to the node's next report. The old key ends when the node first
    uses the new one; until then the same key is handed over, however often this is called.

    Example: kapok node rotate 1gntj14d2p
    """
    from fleet.identity import oscore, rotation
    from fleet.identity.authority import Authority
    from fleet.identity.wrapping import open_wrapper
    from fleet.registry.operations import show_node

    chosen = settings()
    with database(needs=chosen) as db, db.begin() as session:
        found = show_node(session, node_id)
        if found.state == "revoked":
            raise click.ClickException(f"node {node_id} is revoked: it gets no key")
        if certificate:
            number = rotation.rotate(session, Authority.load(chosen.pki), node_id)
        else:
            kid = oscore.rotate(session, open_wrapper(chosen), node_id)
    if certificate and as_json:
        say_json({"id": node_id, "number": number})
    elif certificate:
        click.echo(f"downlink {number} waits for node {node_id}: a certificate for its spare key")
    elif as_json:
        say_json({"id": node_id, "kid": kid.hex()})
    else:
        click.echo(f"node {node_id} gets the key {kid.hex()} with its next report")


@click.command()
@click.argument("node_id", required=False)
@click.option("--all", "everyone", is_flag=True, help="All nodes.")
@json_option
@one_line_errors
def distrust(node_id: str | None, everyone: bool, as_json: bool) -> None:
    """Forget which requests of a node were seen, as after restoring a backup of the database.

    The next request under OSCORE is answered by a challenge (RFC 9175), once.

    Example: kapok node distrust --all
    """
    from fleet.identity import oscore
    from fleet.registry.operations import show_node

    if everyone == (node_id is not None):
        raise click.UsageError("either a node id or --all")
    with database() as db, db.begin() as session:
        if node_id is not None:
            show_node(session, node_id)
        count = oscore.distrust(session, node_id)
    if as_json:
        say_json({"id": node_id, "distrusted": count})
    else:
        click.echo(f"{count} OSCORE key(s) distrusted")
