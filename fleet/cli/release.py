"""`kapok release`: build, sign and verify releases, and say which of them nodes may get."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json
from fleet.cli.release_delta import delta
from fleet.cli.release_keys import keys, signing_options
from fleet.cli.release_show import inspect, list_, say_state, sbom, tell
from fleet.cli.release_types import RUNTIMES, SEQUENCE, WHAT, Needs, Runtimes
from fleet.whoami import user_name

EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
_OUT = click.Path(path_type=Path, dir_okay=False)


@click.group()
def release() -> None:
    """Releases of what nodes run: build, sign, verify, promote, revoke.

    Example: kapok release build --role gas-meter --board esp32s3-bc660k --sequence 12 --expires 2028-01-01 --out 12.kapok
    """  # noqa: E501


release.add_command(keys)
release.add_command(delta)
for each in (inspect, list_, sbom):
    release.add_command(each)


@release.command()
@click.option("--role", default="", help="Role of the nodes; default: any.")
@click.option("--board", default="", help="Board of hw/boards; default: any.")
@click.option("--sequence", type=SEQUENCE, required=True, help="Above that of every release.")
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
@click.option(
    "--runtimes", type=Runtimes(), default=RUNTIMES, show_default=True,
    help="MicroPython it runs on.",
)  # fmt: skip
@click.option("--pack", type=EXISTING, help="JSON of a configuration's patch.")
@click.option("--modem", type=EXISTING, help="Firmware for the modem.")
@click.option("--modem-version", default="", help="What the modem says its version is then.")
@click.option("--trust", type=EXISTING, help="Keys that count from then on: keys trust.")
@click.option("--needs", type=Needs(), multiple=True, help="What must be installed before.")
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
    runtimes: tuple[int, int],
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
    from fleet.identity.files import PUBLIC, write_new
    from fleet.paths import firmware_dir
    from fleet.registry.operations import now_us
    from fleet.releases import bundle, making
    from fleet.releases.target import Target

    if bool(modem) != bool(modem_version):
        raise click.UsageError("--modem and --modem-version go together")
    expiry = int(expires.replace(tzinfo=UTC).timestamp())
    if expiry * 1_000_000 <= now_us():
        raise click.UsageError(f"--expires {expires:%Y-%m-%d} is over: no node would install it")
    order = making.Order(
        Target(role, board),
        sequence,
        expiry,
        not no_application,
        runtime,
        pack,
        (modem, modem_version) if modem else None,
        trust,
        runtimes,
        needs,
    )
    # Compiled anew: whoever signs it believes the sources, and not a cache.
    with TemporaryDirectory(prefix="kapok-release-") as compiled:
        made = making.make(firmware or firmware_dir(), Path(compiled), order)
    write_new(out, bundle.encode(made), PUBLIC)
    tell(made, as_json, f"{out}: nobody has signed it yet: kapok release sign {out}")


@release.command()
@click.argument("file", type=EXISTING)
@signing_options
@click.option(
    "--as", "place", type=click.Choice(["release", "root"]), default="release",
    show_default=True, help="What the key is to nodes: that of releases, or one of the root's.",
)  # fmt: skip
@click.option("--trust", type=EXISTING, help="Of keys trust: refuse a key that counts nothing.")
@json_option
@one_line_errors
def sign(file: Path, place: str, trust: Path | None, as_json: bool, **where: Any) -> None:
    """Sign a bundle, in place. What does not go together is refused before.

    Example: kapok release sign 12.kapok --key release.pem --password-file password
    """
    from fleet.cli.release_keys import signer_of
    from fleet.releases import bundle, content, signers, trusting, verify
    from fleet.releases.errors import SigningKeyError

    read = bundle.read(file)
    content.check(read)
    signer = signer_of(**where)
    kid = verify.kid(signer.modulus)
    if trust and place not in verify.places(signer.modulus, trusting.parse(trust.read_bytes())):
        raise SigningKeyError(f"{trust} has no {place} key {kid.hex()}: --as")
    modulus = signer.modulus if place == "root" else b""
    signed = read.signed_by((kid, signers.signature(signer, read.manifest), modulus))
    len(signed.envelope)  # refused where nodes have no place for it
    bundle.write(file, signed)
    tell(signed, as_json, f"{file}: signed by {kid.hex()}, a {place} key")


@release.command()
@click.argument("file", type=EXISTING)
@click.argument("key")
@json_option
@one_line_errors
def unsign(file: Path, key: str, as_json: bool) -> None:
    """Take a key's signature out of a bundle, by the key's id as inspect shows it.

    Example: kapok release unsign 12.kapok 5f0c2a9be1d47788
    """
    from fleet.releases import bundle

    left = bundle.read(file).unsigned_by(key)
    bundle.write(file, left)
    tell(left, as_json, f"{file}: no signature of {key} any more")


@release.command(name="verify")
@click.argument("file", type=EXISTING)
@click.option("--trust", type=EXISTING, help="Of keys trust; default: the fleet's own.")
@json_option
@one_line_errors
def verify_(file: Path, trust: Path | None, as_json: bool) -> None:
    """Check all that a bundle holds, and its signatures; exit code 0 when nodes would take it.

    Example: kapok release verify 12.kapok --trust trust.cbor
    """
    from fleet.registry.operations import now_us
    from fleet.releases import bundle, content, trusting, verify

    read = bundle.read(file)
    content.check(read)
    if trust is not None:
        held = trusting.parse(trust.read_bytes())
    else:
        with database() as db, db.read() as session:
            held = trusting.in_force(session)
    verify.in_time(read.says, now_us())
    found = verify.check(read.manifest, read.signatures, held)
    told = {"sequence": read.says.sequence, "digest": read.digest.hex(), **found._asdict()}
    if as_json:
        say_json(told)
    else:
        signed = f"{found.keys} release keys and {found.roots} root keys"
        click.echo(f"release {told['sequence']} is good, signed by {signed}: {told['digest']}")


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
    say_state(made, as_json)


@release.command()
@click.argument("what", type=WHAT)
@click.option("--by", default="", help="Who does it; default: the account.")
@json_option
@one_line_errors
def promote(what: int | Path, by: str, as_json: bool) -> None:
    """Let rollouts offer a release: its sequence, or its bundle, which is taken in first.

    Example: kapok release promote 12.kapok
    """
    from fleet.registry.operations import now_us
    from fleet.releases import bundle, intake

    person = by or user_name()
    now = now_us()
    read = what if isinstance(what, int) else bundle.read(what)
    with database() as db, db.begin() as session:
        sequence = (
            read if isinstance(read, int) else intake.add(session, read, person, now).sequence
        )
        made = intake.promote(session, sequence, person, now)
    say_state(made, as_json)


@release.command()
@click.argument("sequence", type=SEQUENCE)
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
    say_state(made, as_json)
