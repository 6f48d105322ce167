"""`kapok release`: build, sign and verify releases, and say which of them nodes may get."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from fleet.cli.common import database, iso, json_option, one_line_errors, say_json, say_table
from fleet.cli.release_delta import delta
from fleet.cli.release_keys import keys, signing_options
from fleet.whoami import user_name

if TYPE_CHECKING:
    from fleet.releases.bundle import Bundle
    from fleet.releases.tables import Release

EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
_OUT = click.Path(path_type=Path, dir_okay=False)
_KINDS = ("application", "runtime", "pack", "modem", "keys")
_SEQUENCE = click.IntRange(1, 0x7FFFFFFF)
_RUNTIME = "1.27.0..1.255.255"


@click.group()
def release() -> None:
    """Releases of what nodes run: build, sign, verify, promote, revoke.

    Example: kapok release build --role gas-meter --board esp32s3-bc660k --sequence 12 --expires 2028-01-01 --out 12.kapok
    """  # noqa: E501


release.add_command(keys)
release.add_command(delta)


class _Needs(click.ParamType[tuple[int, int]]):
    """COMPONENT=LEAST, as (kind, least)."""

    name = "component=least"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        kind, _, least = str(value).partition("=")
        if kind not in _KINDS or not (least.isascii() and least.isdecimal()):
            self.fail(f"{value!r}: COMPONENT=LEAST, components are {', '.join(_KINDS)}")
        return _KINDS.index(kind), int(least)


@release.command()
@click.option("--role", default="", help="Role of the nodes; default: any.")
@click.option("--board", default="", help="Board of hw/boards; default: any.")
@click.option("--sequence", type=_SEQUENCE, required=True, help="Above that of every release.")
@click.option(
    "--expires", required=True, type=click.DateTime(["%Y-%m-%d"]),
    help="Day, UTC, from which no node installs it.",
)  # fmt: skip
@click.option("--out", required=True, type=_OUT, help="The bundle.")
@click.option(
    "--firmware", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the sources; default: those that ship.",
)  # fmt: skip
@click.option("--no-application", is_flag=True, help="Leave the application out.")
@click.option("--runtime", type=EXISTING, help="MicroPython for the board, application image.")
@click.option("--runtimes", default=_RUNTIME, show_default=True, help="MicroPython it runs on.")
@click.option("--pack", type=EXISTING, help="JSON of a configuration's patch.")
@click.option("--modem", type=EXISTING, help="Firmware for the modem.")
@click.option("--modem-version", default="", help="What the modem says its version is then.")
@click.option("--trust", type=EXISTING, help="Keys that count from then on: keys trust.")
@click.option("--needs", type=_Needs(), multiple=True, help="What must be installed before.")
@json_option
@one_line_errors
def build(
    role: str,
    board: str,
    sequence: int,
    expires: datetime,
    out: Path,
    firmware: Path | None,
    no_application: bool,
    runtime: Path | None,
    runtimes: str,
    pack: Path | None,
    modem: Path | None,
    modem_version: str,
    trust: Path | None,
    needs: tuple[tuple[int, int], ...],
    as_json: bool,
) -> None:
    """Build a bundle. The same sources and options give the same digest, anywhere.

    Example: kapok release build --role gas-meter --board esp32s3-bc660k --sequence 12 --expires 2028-01-01 --out 12.kapok
    """  # noqa: E501
    from fleet.paths import firmware_dir
    from fleet.releases import bundle, making, slots
    from fleet.releases.target import Target

    if bool(modem) != bool(modem_version):
        raise click.UsageError("--modem and --modem-version go together")
    order = making.Order(
        Target(role, board),
        sequence,
        int(expires.replace(tzinfo=UTC).timestamp()),
        not no_application,
        runtime,
        pack,
        (modem, modem_version) if modem else None,
        trust,
        _runtimes(runtimes),
        needs,
    )
    made = making.make(firmware or firmware_dir(), slots.cache_dir() / "node", order)
    bundle.write(out, made)
    _tell(made, as_json, f"{out}: nobody has signed it yet: kapok release sign {out}")


@release.command()
@click.argument("file", type=EXISTING)
@signing_options
@click.option(
    "--as", "place", type=click.Choice(["release", "root"]), default="release",
    show_default=True, help="What the key is to nodes: that of releases, or one of the root's.",
)  # fmt: skip
@json_option
@one_line_errors
def sign(file: Path, place: str, as_json: bool, **where: Any) -> None:
    """Sign a bundle, in place. What does not go together is refused before.

    Example: kapok release sign 12.kapok --key release.pem --password-file password
    """
    from fleet.cli.release_keys import signer_of
    from fleet.releases import bundle, content, verify
    from fleet.wire import release as wire

    read = bundle.read(file)
    content.check(read)
    signer = signer_of(**where)
    made = signer.sign(wire.signed(read.manifest))
    modulus = signer.modulus if place == "root" else b""
    signed = read.signed_by((verify.kid(signer.modulus), made, modulus))
    len(signed.envelope)  # refused where nodes have no place for it
    bundle.write(file, signed)
    _tell(signed, as_json, f"{file}: signed by {verify.kid(signer.modulus).hex()}, a {place} key")


@release.command(name="verify")
@click.argument("file", type=EXISTING)
@click.option("--trust", type=EXISTING, help="Of keys trust; default: the fleet's own.")
@json_option
@one_line_errors
def verify_(file: Path, trust: Path | None, as_json: bool) -> None:
    """Check all that a bundle holds, and its signatures; exit code 0 when nodes would take it.

    Example: kapok release verify 12.kapok --trust trust.cbor
    """
    from fleet.releases import bundle, content, trusting, verify

    read = bundle.read(file)
    content.check(read)
    if trust is not None:
        held = trusting.parse(trust.read_bytes())
    else:
        with database() as db, db.read() as session:
            held = trusting.in_force(session)
    found = verify.check(read.manifest, read.signatures, held)
    told = {"sequence": read.says.sequence, "digest": read.digest.hex(), **found._asdict()}
    if as_json:
        say_json(told)
    else:
        signed = f"{found.keys} release keys and {found.roots} root keys"
        click.echo(f"release {told['sequence']} is good, signed by {signed}: {told['digest']}")


@release.command()
@click.argument("what")
@json_option
@one_line_errors
def inspect(what: str, as_json: bool) -> None:
    """Show what a bundle, or a release of the fleet by its sequence, is and has.

    Example: kapok release inspect 12.kapok
    """
    _tell(_bundle(what), as_json, "")


@release.command()
@click.argument("what")
@one_line_errors
def sbom(what: str) -> None:
    """Print the bill of materials, CycloneDX JSON, of a bundle or a release.

    Example: kapok release sbom 12.kapok
    """
    from fleet.releases import store

    if what.isdecimal():
        with database() as db, db.read() as session:
            click.echo(store.release(session, int(what)).sbom)
    else:
        click.echo(_bundle(what).sbom)


@release.command()
@click.argument("file", type=EXISTING)
@click.option("--by", default="", help="Who does it; default: the account.")
@json_option
@one_line_errors
def add(file: Path, by: str, as_json: bool) -> None:
    """Take a signed bundle in, and have deltas to it made. Nodes get it once it is promoted.

    Example: kapok release add 12.kapok
    """
    from fleet.registry.operations import now_us
    from fleet.releases import bundle, intake

    with database() as db, db.begin() as session:
        made = intake.add(session, bundle.read(file), by or user_name(), now_us())
    _say_state(made, as_json)


@release.command()
@click.argument("what")
@click.option("--by", default="", help="Who does it; default: the account.")
@json_option
@one_line_errors
def promote(what: str, by: str, as_json: bool) -> None:
    """Let rollouts offer a release: its sequence, or its bundle, which is taken in first.

    Example: kapok release promote 12.kapok
    """
    from fleet.registry.operations import now_us
    from fleet.releases import bundle, intake

    person = by or user_name()
    read = None if what.isdecimal() else bundle.read(Path(what))
    with database() as db, db.begin() as session:
        if read is not None:
            intake.add(session, read, person, now_us())
        sequence = int(what) if read is None else read.says.sequence
        made = intake.promote(session, sequence, person, now_us())
    _say_state(made, as_json)


@release.command()
@click.argument("sequence", type=_SEQUENCE)
@click.option("--reason", required=True, help="Why, for whoever asks later.")
@click.option("--by", default="", help="Who does it; default: the account.")
@json_option
@one_line_errors
def revoke(sequence: int, reason: str, by: str, as_json: bool) -> None:
    """Offer a release to nobody any more. Nodes that run it go on: give them a newer one.

    Example: kapok release revoke 12 --reason "sensors fall silent"
    """
    from fleet.registry.operations import now_us
    from fleet.releases import store

    with database() as db, db.begin() as session:
        made = store.revoke(session, sequence, by or user_name(), reason, now_us())
    _say_state(made, as_json)


@release.command(name="list")
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


def _say_state(one: "Release", as_json: bool) -> None:
    if as_json:
        say_json(_row(one))
    else:
        whom = f"{one.role or 'any role'}, {one.board or 'any board'}"
        click.echo(f"release {one.sequence} for {whom} is {one.state}: {one.digest.hex()}")


def _bundle(what: str) -> "Bundle":
    from fleet.releases import bundle, intake

    if not what.isdecimal():
        return bundle.read(Path(what))
    with database() as db, db.read() as session:
        return intake.bundle_of(session, int(what))


def _runtimes(text: str) -> tuple[int, int]:
    ends = text.split("..")
    found = []
    for end in ends:
        parts = end.split(".")
        if len(parts) != 3 or not all(p.isascii() and p.isdecimal() for p in parts):
            raise click.UsageError(f"--runtimes {text!r}: as {_RUNTIME}")
        major, minor, micro = (min(int(part), 255) for part in parts)
        found.append(major << 16 | minor << 8 | micro)
    if len(found) != 2 or found[0] > found[1]:
        raise click.UsageError(f"--runtimes {text!r}: as {_RUNTIME}")
    return found[0], found[1]


def _tell(bundle: "Bundle", as_json: bool, last: str) -> None:
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
        "needs": [f"{content.name(kind)}={least}" for kind, least in says.needs],
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
    for part in parts:
        click.echo(f"{part['component']:<9} {part['bytes']} bytes, {part['sha256']}")
    for one in told["signatures"]:
        click.echo(f"signed    by {one['key']}, a {one['as']} key")
    if last:
        click.echo(last)


def _version(value: int, parts: int) -> str:
    return ".".join(str(value >> 8 * n & 255) for n in reversed(range(parts)))
