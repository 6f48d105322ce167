"""`kapok secure`: what hardening a board burns, burn it, and look at what is burnt."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from fleet.cli.common import json_option, one_line_errors, say_json

if TYPE_CHECKING:
    from fleet.flashing.efuse_tool import EfuseTool
    from fleet.flashing.secure_plan import Standing
    from fleet.flashing.secure_steps import Step

F = TypeVar("F", bound=Callable[..., Any])
_EXISTING = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)

board_option = click.option(
    "--board", required=True, help="A name of hw/boards, such as esp32s3-bc660k."
)
key_option = click.option(
    "--key", "keys", type=_EXISTING, multiple=True, required=True,
    help="PEM public key that images are signed for; the ESP32 takes 1, S3 and C3 up to 3.",
)  # fmt: skip


def _where(command: F) -> F:
    """The options that say which chip."""
    port = click.option(
        "--port", default="", help="The board: virtual:3, a path, or a glob that fits one."
    )
    virtual = click.option(
        "--virtual", type=click.Path(path_type=Path, dir_okay=False),
        help="Rehearse on virtual eFuses in this file; no chip is touched.",
    )  # fmt: skip
    return port(virtual(command))


@click.group()
def secure() -> None:
    """Secure boot v2 and flash encryption. What is burnt can never be taken back.

    Example: kapok secure plan --board esp32s3-bc660k --key release.pub.pem
    """


@secure.command()
@board_option
@key_option
@_where
@json_option
@one_line_errors
def plan(board: str, keys: Sequence[Path], port: str, virtual: Path | None, as_json: bool) -> None:
    """Print every irreversible step, in its order, and what it can no longer undo.

    Example: kapok secure plan --board esp32s3-bc660k --key release.pub.pem --port /dev/ttyUSB0
    """
    from fleet.flashing.secure_plan import check_revision, standings

    chip = _chip(board)
    steps = _steps(chip, keys)
    if not port and virtual is None:
        _say_steps([(step, "") for step in steps], as_json)
        return
    with _tool(chip, port, virtual) as tool:
        fuses = tool.read()
    check_revision(chip, fuses)
    _say(standings(steps, fuses), fuses.node_id, as_json)


@secure.command()
@board_option
@key_option
@_where
@click.option(
    "--bootloader",
    type=_EXISTING,
    help="The signed bootloader that the board has; it is verified before anything is burnt.",
)
@click.option("--confirm", default="", help="The board's node id; else it is to be typed.")
@click.option(
    "--log",
    "log_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Log of what was begun and done; default: one a board in the user's state.",
)
@click.option(
    "--trust-flash-key",
    is_flag=True,
    help="The log is lost, and the key that is burnt already is known to be ours.",
)
@json_option
@one_line_errors
def apply(
    board: str,
    keys: Sequence[Path],
    port: str,
    virtual: Path | None,
    bootloader: Path | None,
    confirm: str,
    log_path: Path | None,
    trust_flash_key: bool,
    as_json: bool,
) -> None:
    """Burn the plan, each step read back before the next. Cut short, the same command goes on.

    Example: kapok secure apply --board esp32s3-bc660k --key release.pub.pem --port /dev/ttyUSB0 --bootloader bootloader-signed.bin
    """  # noqa: E501
    from fleet.flashing import secure_apply
    from fleet.flashing.efuses import SecureError
    from fleet.flashing.secure_plan import check_revision, standings
    from fleet.flashing.secure_steps import State

    chip = _chip(board)
    steps = _steps(chip, keys)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        click.echo(line, err=as_json)

    with _tool(chip, port, virtual) as tool:
        fuses = tool.read()
        check_revision(chip, fuses)
        node_id = fuses.node_id
        log = secure_apply.Log(log_path or _log_path(node_id), node_id)
        trusted = "flash-key" if trust_flash_key else ""
        secure_apply.check_before(steps, fuses, log, trusted)
        waiting = {step.name for step, state in standings(steps, fuses) if state is not State.DONE}
        if "secure-boot" in waiting:
            _check_bootloader(tool, keys, bootloader)
        if not as_json:
            _say(standings(steps, fuses), node_id, False)
        typed = confirm or click.prompt(
            "Nothing of this can be undone. Type the board's node id", err=as_json
        )
        if typed != node_id:
            raise SecureError(f"{typed[:20]!r} is not this board's id: nothing was burnt")
        hardened = secure_apply.apply(tool, steps, log, tell, trusted)
    if as_json:
        say_json({"id": node_id, "hardened": hardened, "told": told, "log": str(log.path)})
    elif hardened:
        click.echo(f"board {node_id} is hardened; log: {log.path}")
    else:
        click.echo(f"board {node_id} is half hardened: start it, and apply again; {log.path}")


@secure.command()
@board_option
@key_option
@_where
@json_option
@one_line_errors
def verify(
    board: str, keys: Sequence[Path], port: str, virtual: Path | None, as_json: bool
) -> None:
    """Compare a chip's eFuses with the plan; exit code 0 when all of it is burnt.

    Example: kapok secure verify --board esp32s3-bc660k --key release.pub.pem --port /dev/ttyUSB0
    """
    from fleet.flashing.efuses import SecureError
    from fleet.flashing.secure_plan import standings
    from fleet.flashing.secure_steps import State

    chip = _chip(board)
    steps = _steps(chip, keys)
    with _tool(chip, port, virtual) as tool:
        fuses = tool.read()
    found = standings(steps, fuses)
    _say(found, fuses.node_id, as_json)
    missing = [step.name for step, state in found if state is not State.DONE]
    if missing:
        raise SecureError(f"board {fuses.node_id} is not hardened: {', '.join(missing)}")


def _token(command: F) -> F:
    for option in (
        click.option("--pin-file", required=True, type=_EXISTING, help="File of the token's PIN."),
        click.option("--label", required=True, help="Label of the key pair, RSA-3072."),
        click.option("--token", required=True, help="Label of the token."),
        click.option("--module", required=True, type=_EXISTING, help="The token's library."),
    ):
        command = option(command)
    return command


@secure.command()
@click.argument("image", type=_EXISTING)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@_token
@one_line_errors
def sign(image: Path, out: Path, module: Path, token: str, label: str, pin_file: Path) -> None:
    """Sign a bootloader or an application with a key in a PKCS#11 token, and verify it.

    Example: kapok secure sign bootloader.bin --out bootloader-signed.bin --module /usr/lib/softhsm/libsofthsm2.so --token release --label boot --pin-file pin
    """  # noqa: E501
    from fleet.flashing.secure_sign import SigningToken
    from fleet.flashing.secure_sign import sign as sign_image

    sign_image(SigningToken(module, token, label, pin_file), image, out)
    click.echo(f"{out}: signed by {label} in {token}, and verified")


@secure.command("public-key")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@_token
@one_line_errors
def public_key(out: Path, module: Path, token: str, label: str, pin_file: Path) -> None:
    """Write the public half of the key in a token, as plan, apply and verify take it.

    Example: kapok secure public-key --out release.pub.pem --module /usr/lib/softhsm/libsofthsm2.so --token release --label boot --pin-file pin
    """  # noqa: E501
    from fleet.flashing import secure_sign
    from fleet.identity.files import PUBLIC, write_atomic

    where = secure_sign.SigningToken(module, token, label, pin_file)
    write_atomic(out, secure_sign.public_key(where), PUBLIC)
    click.echo(str(out))


def _chip(board: str) -> str:
    from fleet.flashing.hardware import load_board

    return load_board(board).chip


def _steps(chip: str, keys: Sequence[Path]) -> "list[Step]":
    from fleet.flashing.efuse_tool import public_digest
    from fleet.flashing.secure_plan import plan as steps_of

    with tempfile.TemporaryDirectory(prefix="kapok-") as folder:  # digests of public keys only
        return steps_of(chip, [public_digest(key, Path(folder)) for key in keys])


@contextmanager
def _tool(chip: str, port: str, virtual: Path | None) -> "Iterator[EfuseTool]":
    """The chip's eFuses; its port is ours alone meanwhile."""
    from fleet.flashing.efuse_tool import EfuseTool
    from fleet.flashing.port_lock import locked
    from fleet.flashing.ports import one

    if bool(port) == (virtual is not None):
        raise click.UsageError("--port PORT, or --virtual FILE for a rehearsal")
    if virtual is not None:
        yield EfuseTool(chip, virtual=virtual)
        return
    where = one(port)
    with locked(where):
        yield EfuseTool(chip, where.path)


def _check_bootloader(tool: "EfuseTool", keys: Sequence[Path], bootloader: Path | None) -> None:
    """Secure boot with a bootloader that is not signed would be the end of the board."""
    from fleet.flashing import efuse_tool
    from fleet.flashing.chips import CHIPS
    from fleet.flashing.efuses import SecureError

    if bootloader is None:
        raise SecureError("--bootloader FILE: the signed bootloader that the board has")
    efuse_tool.check_signed(bootloader, keys[0])
    if tool.port:
        offset = CHIPS[tool.chip].bootloader_offset
        efuse_tool.check_flash(tool.port, tool.chip, offset, bootloader)


def _log_path(node_id: str) -> Path:
    from fleet.flashing.port_lock import state_folder

    folder = state_folder() / "secure"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder / f"{node_id}.jsonl"


def _say(found: "Sequence[Standing]", node_id: str, as_json: bool) -> None:
    if not as_json:
        click.echo(f"board {node_id}")
    _say_steps([(step, state.value) for step, state in found], as_json, node_id)


def _say_steps(found: "Sequence[tuple[Step, str]]", as_json: bool, node_id: str = "") -> None:
    if as_json:
        steps = [
            {"step": step.name, "does": step.does, "for_ever": step.undo, "state": state}
            for step, state in found
        ]
        say_json({"id": node_id, "steps": steps})
        return
    for number, (step, state) in enumerate(found, 1):
        click.echo(f"{number:2}. {step.name}{f' [{state}]' if state else ''}: {step.does}")
        click.echo(f"    for ever: {step.undo}")
