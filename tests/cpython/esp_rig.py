"""A bare virtual chip in a process of its own, and the real tools against its port."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serial

TOOL_S = 60
CONFIG = """[esptool]
connect_attempts = 1
open_port_attempts = 1
reset_delay = 0.01
"""


class Chip:
    """What a test holds of it."""

    def __init__(self, name: str, port: str, folder: Path) -> None:
        self.name = name
        self.port = port
        self.folder = folder

    @property
    def flash(self) -> bytes:
        return (self.folder / "flash.bin").read_bytes()

    def esptool(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """`esptool --port PORT ARGUMENTS`."""
        return tool("esptool", self.folder, "--port", self.port, *arguments)

    def espefuse(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """`espefuse --port PORT ARGUMENTS`, which asks nothing."""
        return tool("espefuse", self.folder, "--port", self.port, "--do-not-confirm", *arguments)


def tool(name: str, folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run one of Espressif's tools as anybody would; both outputs as one text."""
    config = folder / "esptool.cfg"
    config.write_text(CONFIG)
    return subprocess.run(
        [str(Path(sys.executable).with_name(name)), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TOOL_S,
        check=False,
        env={**os.environ, "ESPTOOL_CFGFILE": str(config), "COLUMNS": "200", "NO_COLOR": "1"},
    )


def open_port(path: str) -> Any:
    """The port by pyserial, as a terminal program opens it."""
    return serial.Serial(path, 115_200, timeout=TOOL_S, exclusive=True)


@contextlib.contextmanager
def chip(name: str, folder: Path, *options: object) -> Iterator[Chip]:
    """`python -m hil.virtual.esprom`; whoever leaves ends it, and it ends well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hil.virtual.esprom", "--chip", name, *map(str, options), folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Chip(name, process.stdout.readline().strip(), folder)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
