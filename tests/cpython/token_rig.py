"""A SoftHSM token in a folder of the test."""

import subprocess
from pathlib import Path

import pkcs11
import pytest

from fleet.settings import Pkcs11

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN, PIN = "kapok", "5678"


def make_token(folder: Path, monkeypatch: pytest.MonkeyPatch, token: str = TOKEN) -> Pkcs11:
    """A new token with a user's PIN and no key; call `leave` when the test is over."""
    leave()
    (folder / "tokens").mkdir(exist_ok=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", token, "--so-pin", "1234",
         "--pin", PIN],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (folder / "pin").write_text(PIN + "\n")
    return Pkcs11(MODULE, token, "wrapping", folder / "pin")


def leave() -> None:
    """End the library's state in this process: logins, sessions, and the folder that it reads."""
    library = pkcs11.lib(str(MODULE))
    library.finalize()
