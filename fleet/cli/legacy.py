"""`kapok legacy`: terminals of other makers, and what they send."""

import importlib
import sys
from typing import Any

import rich_click as click

from fleet.cli.common import say_json

EX_USAGE, EX_DATAERR = 64, 65  # sysexits.h: how it was called, and what it was given
_COMMANDS = {
    "serve": "fleet.cli.legacy_serve",
    "strangers": "fleet.cli.legacy_lists",
    "terminals": "fleet.cli.legacy_lists",
    "tolerate": "fleet.cli.legacy_lists",
}
_PROTOCOLS = ("cjt188", "dlt645", "hj212", "modbus", "sl651")


class _Sysexits(click.RichCommand):
    """A wrong call ends with 64, so that it differs from a bad frame, 65."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except click.UsageError as e:
            raise _BadCall(e.format_message(), e.ctx) from None


class _BadFrame(click.ClickException):
    """The bytes are no frame."""

    exit_code = EX_DATAERR


class _BadCall(click.UsageError):
    """What stands for the bytes is no hexadecimal text."""

    exit_code = EX_USAGE


class _Lazy(click.RichGroup):
    """Loads what serves and what asks the database when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        return getattr(importlib.import_module(_COMMANDS[cmd_name]), cmd_name)


@click.group(cls=_Lazy)
def legacy() -> None:
    """Terminals of other makers.

    \b
    serve      listen for HJ 212, SL 651 and DTUs, and store what comes
    terminals  who was heard, from where, and what is not understood
    strangers  what came in and is nobody's
    tolerate   let one terminal deviate from its protocol
    decode     say what a frame says

    Example: kapok legacy decode --protocol cjt188 68 10 44 33 22 11 00 33 78 01 03 1F 90 00 80 16
    """


@legacy.command(cls=_Sysexits)
@click.option("--protocol", type=click.Choice(_PROTOCOLS), required=True, help="Of the frame.")
@click.option("--variant", help="hj212: modbus-crc; modbus: request or reply.")
@click.argument("text", nargs=-1, required=True, metavar="HEX...")
def decode(protocol: str, variant: str | None, text: tuple[str, ...]) -> None:
    """Say as JSON what a frame says: all fields with their units.

    HEX is the whole frame, with blanks between the bytes or not; "-" reads it from the standard
    input. A frame of HJ 212 may also be given as it is, from its ## on.

    Exit codes: 0 a good frame, 65 a bad one, 64 wrong usage.

    Example: kapok legacy decode --protocol modbus 01 03 00 00 00 05 85 C9
    """
    from fleet.legacy.protocols.catalogue import codec
    from fleet.legacy.protocols.frame import FrameError

    chosen = codec(protocol)
    if variant is not None and variant not in chosen.VARIANTS:
        known = ", ".join(chosen.VARIANTS) or "none"
        raise _BadCall(f"--variant {variant}: {protocol} has {known}")
    joined = sys.stdin.read() if text == ("-",) else " ".join(text)
    data = _plain(joined) if protocol == "hj212" else None
    if data is None:
        data = _bytes(joined)
    try:
        frame = chosen.decode(data, variant)
    except FrameError as e:
        raise _BadFrame(str(e)) from None
    say_json(frame.as_json())


def _bytes(text: str) -> bytes:
    digits = "".join(text.split())
    try:
        return bytes.fromhex(digits)
    except ValueError:
        pass
    if len(digits) % 2 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise _BadCall(f"HEX has {len(digits)} digits: two for each byte")
    raise _BadCall("HEX has something else than hexadecimal digits and blanks")


def _plain(text: str) -> bytes | None:
    """A packet of HJ 212 as text; a shell drops its end, CR LF. None where it is none."""
    if not text.startswith("##"):
        return None
    return text.rstrip("\r\n").encode("utf-8", "surrogateescape") + b"\r\n"
