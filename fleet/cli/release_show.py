"""`kapok release list|inspect|sbom`, and how a release is told by the commands that change one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.cli.release_types import WHAT

if TYPE_CHECKING:
    from fleet.releases.bundle import Bundle
    from fleet.releases.tables import Release


@click.command()
@click.argument("what", type=WHAT)
@json_option
@one_line_errors
def inspect(what: int | Path, as_json: bool) -> None:
    """Show what a bundle, or a release of the fleet by its sequence, is and has.

    Example: kapok release inspect 12.kapok
    """
    tell(_bundle(what), as_json, "")


@click.command()
@click.argument("what", type=WHAT)
@one_line_errors
def sbom(what: int | Path) -> None:
    """Print the bill of materials, CycloneDX JSON, of a bundle or a release.

    Example: kapok release sbom 12.kapok
    """
    click.echo(_bundle(what).sbom)


@click.command(name="list")
@json_option
@one_line_errors
def list_(as_json: bool) -> None:
    """List the fleet's releases, newest first.

    Example: kapok release list
    """
    from fleet.releases import store

    with database() as db, db.read() as session:
        rows = [_row(one) for one in store.releases(session)]
    if as_json:
        say_json(rows)
    else:
        headings = ["sequence", "role", "board", "state", "digest", "promoted", "by"]
        names = ("sequence", "role", "board", "state", "digest", "promoted", "by")
        say_table("Releases", headings, [[str(row[name])[:16] for name in names] for row in rows])


def _row(one: "Release") -> dict[str, Any]:
    return {
        "sequence": one.sequence,
        "role": one.role or "any",
        "board": one.board or "any",
        "state": one.state,
        "digest": one.digest.hex(),
        "added": iso(one.added_us),
        "promoted": iso(one.promoted_us),
        "revoked": iso(one.revoked_us),
        "by": one.person,
        "reason": one.reason,
    }


def say_state(one: "Release", as_json: bool) -> None:
    """Say what a release is now."""
    if as_json:
        say_json(_row(one))
    else:
        whom = f"{one.role or 'any role'}, {one.board or 'any board'}"
        click.echo(f"release {one.sequence} for {whom} is {one.state}: {one.digest.hex()}")


def _bundle(what: int | Path) -> "Bundle":
    from fleet.releases import bundle, intake

    if isinstance(what, Path):
        return bundle.read(what)
    with database() as db, db.read() as session:
        return intake.bundle_of(session, what)


def tell(bundle: "Bundle", as_json: bool, last: str) -> None:
    """Say what a bundle has; `last`: a line more, for people."""
    from fleet.releases import content

    says = bundle.says
    parts = [
        {
            "component": content.name(each.kind), "bytes": each.size,
            "sha256": each.digest.hex(), "version": each.version,
        }
        for each in says.components
    ]  # fmt: skip
    told = {
        "sequence": says.sequence,
        "role": says.role or "any",
        "board": says.board or "any",
        "digest": bundle.digest.hex(),
        "expires": iso(says.expiry * 1_000_000),
        "abi": [_version(each, 2) for each in says.abi],
        "runtime": [_version(each, 3) for each in says.runtime],
        "needs": [_need(kind, least) for kind, least in says.needs],
        "components": parts,
        "signatures": [
            {"key": kid.hex(), "as": "root" if modulus else "release"}
            for kid, _, modulus in bundle.signatures
        ],
        "envelope_bytes": len(bundle.envelope) if bundle.signatures else 0,
    }
    if as_json:
        say_json(told)
        return
    click.echo(f"release {says.sequence} for {told['role']} on {told['board']}")
    click.echo(f"digest    {told['digest']}")
    click.echo(f"expires   {told['expires']}")
    click.echo(f"runs on   MicroPython {' to '.join(told['runtime'])}, .mpy {told['abi'][0]}")
    for need in told["needs"]:
        click.echo(f"needs     {need}")
    for part in parts:
        click.echo(f"{part['component']:<9} {part['bytes']} bytes, {part['sha256']}")
    for one in told["signatures"]:
        click.echo(f"signed    by {one['key']}, a {one['as']} key")
    if last:
        click.echo(last)


def _need(kind: int, least: int) -> str:
    from fleet.releases import content
    from fleet.wire import release

    told = _version(least, 3) if kind == release.RUNTIME else str(least)
    return f"{content.name(kind)}={told}"


def _version(value: int, parts: int) -> str:
    return ".".join(str(value >> 8 * n & 255) for n in reversed(range(parts)))
