"""`kapok node`: who is there. Keys and downlinks of nodes are in modules of their own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click

from fleet.cli import (
    node_downlinks,
    node_health,
    node_keys,
    node_release,
    node_sim,
    node_sub,
    node_tag,
)
from fleet.cli.common import (
    database,
    iso,
    json_option,
    one_line_errors,
    say_json,
    say_table,
    settings,
)


@click.group()
def node() -> None:
    """Nodes: register, list, show, revoke; their keys and what waits for them.

    Example: kapok node list
    """


node.add_command(node_keys.rotate)
node.add_command(node_keys.distrust)
node.add_command(node_release.release)
node.add_command(node_downlinks.configure)
node.add_command(node_downlinks.downlinks)
node.add_command(node_sim.sim)
node.add_command(node_health.health)
node.add_command(node_sub.sub)
node.add_command(node_tag.tag)


def _as_json(found: Any) -> dict[str, Any]:
    return {**found._asdict(), "last_report": iso(found.last_report_us)}


@node.command()
@click.argument("node_id")
@click.option("--role", required=True, help="gas-meter, drainage, lamppost, gateway or survey.")
@click.option("--area", required=True, help="Area code, such as 440106.")
@click.option("--asset", default="", help="Name of what it measures; default: role and node id.")
@click.option(
    "--csr",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
    help="PEM certificate request made with the node's own key, CN = node id.",
)
@click.option(
    "--cert-out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the PEM certificate; default: standard output.",
)
@click.option(
    "--oscore-out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make an OSCORE key, and write it here for the node's NVS; it is a secret.",
)
@click.option(
    "--hmac-out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make a key for commands, and write it here for the node's NVS; it is a secret.",
)
@json_option
@one_line_errors
def add(
    node_id: str,
    role: str,
    area: str,
    asset: str,
    csr: Path,
    cert_out: Path | None,
    oscore_out: Path | None,
    hmac_out: Path | None,
    as_json: bool,
) -> None:
    """Register a node, give it an asset, and sign its certificate.

    All or nothing: without a good request nothing is registered.

    Example: kapok node add 1gntj14d2p --role drainage --area 440106 --csr node.csr
    """
    from fleet.identity.authority import Authority
    from fleet.identity.csr import MAX_BYTES
    from fleet.identity.errors import IdentityError
    from fleet.identity.files import PRIVATE, PUBLIC
    from fleet.identity.operations import enrol
    from fleet.registry.operations import add_node

    chosen = settings()
    with csr.open("rb") as file:
        request = file.read(MAX_BYTES + 1)  # `--csr /dev/zero` must end too
    with _files() as write, database(needs=chosen) as db, db.begin() as session:
        found = add_node(session, node_id, role, area, asset)
        issued = enrol(session, Authority.load(chosen.pki), request)
        if issued.subject != node_id:
            raise IdentityError(f"{csr} is a request of {issued.subject}, not of {node_id}")
        if cert_out is not None:
            write(cert_out, issued.pem, PUBLIC)
        if oscore_out is not None:
            write(oscore_out, node_keys.new_blob(session, chosen, node_id), PRIVATE)
        if hmac_out is not None:
            write(hmac_out, node_keys.new_command_key(session, chosen, node_id), PRIVATE)
    if as_json:
        say_json({**_as_json(found), "certificate": issued.pem.decode()})
    elif cert_out is None:
        click.echo(issued.pem.decode(), nl=False)
    else:
        click.echo(f"node {node_id} registered in {area}; certificate: {cert_out}")


@contextmanager
def _files() -> Iterator[Callable[[Path, bytes, int], None]]:
    """Writes files, before the commit; they go when anything fails: all or nothing."""
    from fleet.identity.errors import IdentityError
    from fleet.identity.files import write_atomic

    written: list[Path] = []

    def write(path: Path, data: bytes, mode: int) -> None:
        if path in written:
            raise IdentityError(f"{path} cannot take both the certificate and the key")
        try:
            write_atomic(path, data, mode)
        except OSError as e:
            raise IdentityError(f"cannot write {path}: {e.strerror}") from None
        written.append(path)

    try:
        yield write
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


@node.command("list")
@click.option("--area", default="", help="Only nodes whose area code begins so.")
@click.option("--role", default="", help="Only nodes of this role.")
@click.option("--where", default="", help="Only nodes of this query.")
@click.option("--after", default="", help="Continue behind this node id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
@one_line_errors
def list_(area: str, role: str, where: str, after: str, limit: int, as_json: bool) -> None:
    """List nodes by node id. What --where takes: kapok rollout preview --help.

    Example: kapok node list --where "role = drainage and battery < 3.3V"
    """
    from fleet.query.statement import chosen
    from fleet.registry.operations import list_nodes, now_us

    among = chosen(where, now_us()) if where else None
    with database() as db, db.read() as session:
        found = list_nodes(session, after, limit, area, role, among)
    if as_json:
        say_json([_as_json(one) for one in found])
        return
    headings = ["node", "role", "state", "area", "asset", "last report", "journal", "release"]
    rows = [
        [one.id, one.role, one.state, one.area, str(one.asset_id or ""), iso(one.last_report_us),
         str(one.status.get("0", "")), str(one.status.get("17", ""))]
        for one in found
    ]  # fmt: skip
    say_table("nodes", headings, rows)


@node.command()
@click.argument("node_id")
@json_option
@one_line_errors
def show(node_id: str, as_json: bool) -> None:
    """Show a node, its certificates, its OSCORE keys and its configuration over the air.

    Example: kapok node show 1gntj14d2p
    """
    from fleet.identity.operations import certificates_of
    from fleet.registry.operations import show_node

    with database() as db, db.read() as session:
        found = show_node(session, node_id)
        certificates = [
            {
                "serial": c.serial,
                "live": c.active_for is not None,
                "not_after": iso(c.not_after_us),
            }
            for c in certificates_of(session, node_id)
        ]
        keys = node_keys.shown(session, node_id)
        configuration = node_downlinks.shown(session, node_id)
    if as_json:
        more = {"certificates": certificates, "oscore": keys, "configuration": configuration}
        say_json({**_as_json(found), **more})
        return
    for name, value in _as_json(found).items():
        click.echo(f"{name:<16}{value}")
    for one in certificates:
        state = "live" if one["live"] else "not live"
        click.echo(f"{'certificate':<16}{one['serial']} {state}, until {one['not_after']}")
    for key in keys:
        trusted = "" if key["trusted"] else ", to be challenged"
        click.echo(f"{'oscore':<16}{key['kid']} {key['state']}{trusted}")
    if configuration["applied"]:
        click.echo(f"{'configuration':<16}{configuration['values']}")


@node.command()
@click.argument("node_id")
@click.option("--reason", default="unspecified", show_default=True, help="As in RFC 5280, 5.3.1.")
@json_option
@one_line_errors
def revoke(node_id: str, reason: str, as_json: bool) -> None:
    """Revoke a node's certificate and OSCORE keys; its reports are refused from now on.

    A running `kapok serve` has the broker read pki/crl.pem again, see [broker] reload in
    kapok.toml; a broker that it does not know needs a SIGHUP.

    Example: kapok node revoke 1gntj14d2p --reason key-compromise
    """
    from fleet.alarms import departures
    from fleet.identity import hmac_keys, oscore
    from fleet.identity.authority import Authority
    from fleet.identity.operations import revocation_list, serial_text
    from fleet.identity.operations import revoke as revoke_certificate
    from fleet.registry.operations import set_state

    chosen = settings()
    with database(needs=chosen) as db:
        with db.begin() as session:
            set_state(session, node_id, "revoked")
            departures.gone(session, node_id)
            serials = revoke_certificate(session, node_id, reason)
            keys = oscore.revoke(session, node_id)
            hmac_keys.revoke(session, node_id)
        with db.read() as session:
            Authority.load(chosen.pki).write_crl(revocation_list(session))
    if as_json:
        revoked = [serial_text(serial) for serial in serials]
        say_json({"id": node_id, "revoked": revoked, "oscore_keys": keys})
    else:
        click.echo(f"node {node_id} revoked, {len(serials)} certificate(s), {keys} OSCORE key(s)")
