"""`kapok release keys`: keys that sign releases, and whose signatures nodes trust."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from fleet.cli.common import database, json_option, one_line_errors, say_json
from fleet.cli.release_types import SEQUENCE
from fleet.whoami import user_name

if TYPE_CHECKING:
    from fleet.releases.signers import Signer

F = TypeVar("F", bound=Callable[..., Any])
_EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)
_OUT = click.Path(path_type=Path, dir_okay=False)


def signing_options(command: F) -> F:
    """Where the private key is: a file, or a token."""
    for option in (
        click.option("--pin-file", type=_EXISTING, help="File of the token's PIN."),
        click.option("--label", help="Label of the key pair in the token, RSA-3072."),
        click.option("--token", help="Label of the token."),
        click.option("--module", type=_EXISTING, help="The token's PKCS#11 library."),
        click.option("--password-file", type=_EXISTING, help="Its first line opens the key."),
        click.option("--key", type=_EXISTING, help="PEM file of the private key, RSA-3072."),
    ):
        command = option(command)
    return command


def signer_of(
    key: Path | None,
    password_file: Path | None,
    module: Path | None,
    token: str | None,
    label: str | None,
    pin_file: Path | None,
) -> "Signer":
    """The key of the options of `signing_options`."""
    from fleet.flashing.secure_sign import SigningToken
    from fleet.releases import signers

    if key is not None:
        if module or token or label or pin_file:
            raise click.UsageError("--key, or a token: not both")
        return signers.FileSigner(key, signers.password(password_file))
    if not (module and token and label and pin_file):
        raise click.UsageError("--key FILE, or --module, --token, --label and --pin-file")
    return signers.TokenSigner(SigningToken(module, token, label, pin_file))


@click.group()
def keys() -> None:
    """Keys that sign releases, offline ones, and whose signatures nodes trust.

    Example: kapok release keys show
    """


@keys.command()
@click.option("--out", required=True, type=_OUT, help="PEM file; its public half goes beside it.")
@click.option("--password-file", type=_EXISTING, help="Its first line encrypts the key.")
@json_option
@one_line_errors
def new(out: Path, password_file: Path | None, as_json: bool) -> None:
    """Make a key in a file. It signs whatever nodes run: keep it off every machine of the fleet.

    Example: kapok release keys new --out release.pem --password-file password
    """
    from fleet.releases import signers, verify

    kid = verify.kid(signers.generate(out, signers.password(password_file))).hex()
    if as_json:
        say_json({"kid": kid, "private": str(out), "public": f"{out}.pub"})
        return
    click.echo(f"key {kid}: {out}, its public half {out}.pub")
    if password_file is None:
        click.echo("it is not encrypted: for a trial only")


@keys.command()
@signing_options
@click.option("--out", required=True, type=_OUT)
@one_line_errors
def public(out: Path, **where: Any) -> None:
    """Write the public half of a key, PEM.

    Example: kapok release keys public --module /usr/lib/softhsm/libsofthsm2.so --token hsm --label release --pin-file pin --out release.pub
    """  # noqa: E501
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    from fleet.identity.files import PUBLIC, write_new
    from fleet.releases import signers, verify

    modulus = signer_of(**where).modulus
    key = RSAPublicNumbers(verify.EXPONENT, int.from_bytes(modulus, "big")).public_key()
    write_new(out, signers.public_pem(key), PUBLIC)
    click.echo(f"key {verify.kid(modulus).hex()}: {out}")


@keys.command()
@click.option("--root", "roots", type=_EXISTING, multiple=True, required=True, help="Up to 3.")
@click.option("--threshold", type=click.IntRange(1, 3), default=2, show_default=True)
@click.option("--key", "signing", type=_EXISTING, multiple=True, required=True, help="1 or 2.")
@click.option("--sequence", type=SEQUENCE, default=1, show_default=True)
@click.option("--out", required=True, type=_OUT)
@one_line_errors
def trust(
    roots: tuple[Path, ...],
    threshold: int,
    signing: tuple[Path, ...],
    sequence: int,
    out: Path,
) -> None:
    """Write down whose signatures count: so many root keys change it, any release key signs.

    Example: kapok release keys trust --root r1.pem.pub --root r2.pem.pub --root r3.pem.pub --key release.pem.pub --out trust.cbor
    """  # noqa: E501
    from fleet.identity.files import PUBLIC, write_new
    from fleet.releases import signers, trusting

    made = trusting.make(
        sequence,
        threshold,
        [signers.public_modulus(path) for path in roots],
        [signers.public_modulus(path) for path in signing],
    )
    write_new(out, made, PUBLIC)
    click.echo(f"{out}: trust {sequence}, {threshold} of {len(roots)} root keys may change it")


@keys.command()
@click.argument("file", type=_EXISTING)
@click.option("--by", default="", help="Who does it; default: the account.")
@one_line_errors
def install(file: Path, by: str) -> None:
    """Have the fleet verify releases by these keys, and give them to nodes at provisioning.

    Once: whoever changes them later needs the root keys, and a release (build --trust).

    Example: kapok release keys install trust.cbor
    """
    from fleet.registry.operations import now_us
    from fleet.releases import trusting

    with database() as db, db.begin() as session:
        found = trusting.install(session, file.read_bytes(), by or user_name(), now_us())
    click.echo(f"trust {found.sequence} is in force: nodes get it when they are provisioned")


@keys.command()
@json_option
@one_line_errors
def show(as_json: bool) -> None:
    """Show whose signatures the fleet trusts.

    Example: kapok release keys show
    """
    from fleet.releases import trusting, verify

    with database() as db, db.read() as session:
        held = trusting.in_force(session)
    told = {
        "sequence": held.sequence,
        "threshold": held.threshold,
        "roots": [digest.hex()[:16] for digest in held.roots],
        "keys": [verify.kid(modulus).hex() for modulus in held.keys],
    }
    if as_json:
        say_json(told)
        return
    click.echo(f"trust {held.sequence}: {held.threshold} of {len(held.roots)} root keys change it")
    for name in ("roots", "keys"):
        for kid in told[name]:
            click.echo(f"{name[:-1]:<5} {kid}")
