"""espefuse and espsecure as processes of their own; keys go to them through memory, not files."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from fleet.flashing.efuses import Fuses, SecureError, parse
from fleet.flashing.memory_file import memory_file, path_of
from fleet.identity.secret import SecretBytes

DEADLINE_S = 60.0  # of one run; a whole summary over 115,200 baud takes about 3 s
_SUMMARY = ("summary", "--format", "json")
KEY = "{key}"  # stands in a command for the file that has the key


class EfuseTool(NamedTuple):
    """A chip on a port, or its virtual eFuses in a file, for a rehearsal.

    `chip` is esptool's name. `port` empty: virtual.
    """

    chip: str
    port: str = ""
    virtual: Path | None = None

    @property
    def is_rehearsal(self) -> bool:
        """Whether no chip is touched."""
        return not self.port

    def read(self) -> Fuses:
        """All eFuses, read now."""
        return parse(self._run(_SUMMARY, ()))

    def burn(self, words: Sequence[str], key: bytes | None = None) -> None:
        """One command of espefuse that burns; `key` is put where the words have {key}.

        espefuse compares what it burnt in the same connection; to be sure, `read` in a new one.
        """
        with ExitStack() as stack:
            descriptor = stack.enter_context(memory_file(key)) if key is not None else None
            path = "" if descriptor is None else path_of(descriptor)
            command = [path if word == KEY else word for word in words]
            handed = () if descriptor is None else (descriptor,)
            self._run(["--do-not-confirm", *command], handed)

    def _run(self, words: Sequence[str], descriptors: tuple[int, ...]) -> str:
        where = ["--port", self.port]
        if self.is_rehearsal:
            where = ["--virt", "--path-efuse-file", str(self.virtual)]
        options = [word for word in words if word == "--do-not-confirm"]
        rest = [word for word in words if word != "--do-not-confirm"]
        return run("espefuse", ["--chip", self.chip, *where, *options, *rest], descriptors)


def run(tool: str, words: Sequence[str], descriptors: tuple[int, ...] = ()) -> str:
    """What a tool of esptool's package prints; SecureError with its last words when it fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", tool, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE_S,
            pass_fds=descriptors,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SecureError(f"{tool} took over {DEADLINE_S:.0f} s: is the cable in?") from None
    if done.returncode:
        raise SecureError(f"{tool}: {_last_words(done.stdout + done.stderr)}")
    return done.stdout


def new_key() -> SecretBytes:
    """256 bits for one chip's flash encryption; nobody keeps them."""
    return SecretBytes(os.urandom(32))


def public_digest(public_pem: Path, folder: Path) -> str:
    """SHA-256 of a public key as secure boot v2 wants it in the eFuses, in hexadecimal."""
    made = folder / f"{public_pem.name}.digest"
    run(
        "espsecure",
        ["digest-sbv2-public-key", "--keyfile", str(public_pem), "--output", str(made)],
    )
    digest = made.read_bytes()
    if len(digest) != 32:
        raise SecureError(f"{public_pem}: espsecure made {len(digest)} bytes of digest, not 32")
    return digest.hex()


def check_signed(image: Path, public_pem: Path) -> None:
    """SecureError unless the image bears a signature of that key."""
    try:
        run(
            "espsecure",
            ["verify-signature", "--version", "2", "--keyfile", str(public_pem), str(image)],
        )
    except SecureError:
        raise SecureError(
            f"{image} is not signed by {public_pem}: with secure boot on, the chip would never "
            "start again; kapok secure sign"
        ) from None


def check_flash(port: str, chip: str, offset: int, image: Path) -> None:
    """SecureError unless the chip's flash has the image at `offset`."""
    try:
        run(
            "esptool", ["--chip", chip, "--port", port, "verify-flash", f"{offset:#x}", str(image)]
        )
    except SecureError as e:
        raise SecureError(
            f"the flash on {port} is not {image} at {offset:#x}: kapok flash it first ({e})"
        ) from None


def _last_words(text: str) -> str:
    lines = [line.strip(" │╭╮╰╯─") for line in text.splitlines()]
    found = [line for line in lines if line]
    return found[-1][:300] if found else "it failed without a word"
