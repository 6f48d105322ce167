"""A node's prompt over its serial port, by mpremote's transport: run a script, read a file."""

import contextlib
import errno
import io
import json
import os
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from fleet.flashing import lines
from fleet.flashing.console import LOOK, RETURN
from fleet.flashing.errors import FlashError
from fleet.flashing.port_lock import locked
from fleet.flashing.ports import Port
from fleet.paths import firmware_dir

SHORT_S = 20.0  # of silence, for what only asks the node itself
CONTACT_S = 660.0  # of silence, for what waits for a network: longer than a wake is allowed to be
WRITE_S = 5.0  # in which a board takes what is sent
_TRIES = 3
_FIRST_S = 3  # of the first try; a slow node gets twice as long each time
_GONE = (TransportError, OSError, termios.error)  # pyserial wraps some of the last only


class ReplError(FlashError):
    """The node's prompt cannot be had, or what was run there failed; one line says why."""


class NodeRepl:
    """A node that was stopped at its prompt, the slot mounted, nothing running.

    `device` is a path. While it is open nobody else may use the port. The node does not run on
    until `restart`.
    """

    def __init__(self, transport: SerialTransport, device: str, reset_cause: int) -> None:
        self.reset_cause = reset_cause  # of the run that was stopped: machine.reset_cause()
        self._transport = transport
        self._device = device

    def run(self, *scripts: str, call: str, timeout_s: float = SHORT_S) -> Any:
        """Send the scripts of firmware/visit by name; what `call` then gives, from JSON."""
        text = "\n".join((firmware_dir() / "visit" / f"{name}.py").read_text() for name in scripts)
        return self.ask(f"{text}\ntell('answer', {call})\n", timeout_s)

    def ask(self, text: str, timeout_s: float = SHORT_S) -> Any:
        """Run `text`, which calls `tell('answer', value)`; the value."""
        out = self.execute(text, timeout_s)
        for line in reversed(out.splitlines()):
            if line.startswith("kapok-answer "):
                return json.loads(line.partition(" ")[2])
        raise ReplError(f"{self._device}: the node gave no answer: {out.strip()[-80:]!r}")

    def execute(self, text: str, timeout_s: float = SHORT_S) -> str:
        """Run `text`; what it printed."""
        try:
            out, error = self._transport.exec_raw(text, timeout=timeout_s)
        except _GONE as e:
            raise ReplError(f"{self._device}: the node stopped answering: {e}") from None
        if error:
            last = error.decode(errors="replace").strip().splitlines()[-1:]
            raise ReplError(f"{self._device}: on the node: {''.join(last)[:200]}")
        return str(out.decode(errors="replace"))

    def files(self, folder: str) -> dict[str, bytes]:
        """The files of a folder by name, empty where there is no such folder."""
        try:
            if not self._transport.fs_exists(folder):
                return {}
            return {
                entry.name: bytes(self._transport.fs_readfile(f"{folder}/{entry.name}"))
                for entry in self._transport.fs_listdir(folder)
                if not entry.st_mode & 0x4000
            }
        except _GONE as e:
            raise ReplError(f"{self._device}: cannot read {folder}: {e}") from None

    def restart(self) -> None:
        """Let the node run on: a reset that keeps RTC memory."""
        with contextlib.suppress(*_GONE):
            self._transport.exec_raw_no_follow("import machine; machine.reset()")


@contextmanager
def opened(port: Port) -> Iterator[NodeRepl]:
    """The prompt of the node at `port`, which runs on when this ends.

    A node that does not answer is asleep, or busy: then its EN line is pulsed, and the prompt is
    asked for while it boots. FlashError names what is wrong with the port.
    """
    with _entered(port) as (transport, cause):
        repl = NodeRepl(transport, port.name, cause)
        try:
            yield repl
        except BaseException:
            # Something may still run there: it is stopped, so that the restart is heard.
            with contextlib.suppress(*_GONE), contextlib.redirect_stdout(io.StringIO()):
                transport.enter_raw_repl(soft_reset=False, timeout_overall=5)
            raise
        finally:
            repl.restart()


def hold(port: Port) -> None:
    """Leave the node at its friendly prompt, for another tool; its watchdog restarts it."""
    with _entered(port) as (transport, _), contextlib.suppress(*_GONE):
        transport.exit_raw_repl()
        transport.serial.flush()


def leave(port: Port, text: str) -> None:
    """Run `text` at the node's prompt, which ends its run: a reset, or deep sleep."""
    with _entered(port) as (transport, _), contextlib.suppress(*_GONE):
        transport.exec_raw_no_follow(text)
        transport.serial.flush()


def restart(port: Port) -> None:
    """A soft reset: Ctrl-D at the friendly prompt, since behind one at the raw prompt no main.py
    runs.
    """
    with _entered(port) as (transport, _), contextlib.suppress(*_GONE):
        transport.exit_raw_repl()
        transport.serial.write(b"\x04")
        transport.serial.flush()


@contextmanager
def _entered(port: Port) -> Iterator[tuple[SerialTransport, int]]:
    with locked(port):
        transport, cause = _prompt(port)
        try:
            yield transport, cause
        finally:
            _close(transport)


def _transport(device: str) -> SerialTransport:
    if not os.path.exists(device):
        raise ReplError(f"{device} does not exist: is the board plugged in? kapok ports")
    try:
        # DTR and RTS rise together at open, which resets no board: the register that a gas meter
        # has in RTC memory survives. A read that nothing ends must come back, so that silence can
        # be noticed, and so must a write that nobody takes.
        transport = SerialTransport(device, baudrate=115200, timeout=1)
        transport.serial.write_timeout = WRITE_S
        return transport
    except _GONE as e:
        raise ReplError(f"{_why(device, e)}: kapok doctor --port {device}") from None


def _close(transport: SerialTransport) -> None:
    with contextlib.suppress(*_GONE):
        transport.close()


def _again(transport: SerialTransport, port: Port) -> SerialTransport:
    """The port behind a reset: a chip that is its own USB adapter was away meanwhile."""
    if not port.native_usb:
        return transport
    _close(transport)
    end = time.monotonic() + RETURN
    while True:
        time.sleep(LOOK)
        try:
            return _transport(port.path)
        except ReplError:
            if time.monotonic() > end:
                raise


def _why(device: str, error: Exception) -> str:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError as e:
        if e.errno == errno.EACCES:
            return f"{device} may not be opened by this user"
        return f"{device} cannot be opened: {e.strerror}"
    return f"{device} is busy, or gone ({type(error).__name__})"


def _prompt(port: Port) -> tuple[SerialTransport, int]:
    """The transport at its raw prompt, and the cause of the reset before."""
    transport = _transport(port.path)
    try:
        for turn in range(_TRIES):
            if turn:
                lines.reset(port, transport.serial)
                transport = _again(transport, port)
            with contextlib.suppress(*_GONE):
                if not _interrupts(transport, _FIRST_S * 2**turn):
                    continue
                with contextlib.redirect_stdout(io.StringIO()):  # it prints what it read instead
                    transport.enter_raw_repl(soft_reset=False, timeout_overall=12)
                    cause = _cause(transport)  # the next line makes it another one
                    transport.enter_raw_repl(soft_reset=True, timeout_overall=12)
                return transport, cause
    except BaseException:
        _close(transport)
        raise
    _close(transport)
    raise ReplError(
        f"{port.name}: no prompt: the node sleeps, or its runtime has none; press its reset"
        " button and try again at once"
    )


def _cause(transport: SerialTransport) -> int:
    """machine.reset_cause(), 0 where the node cannot tell."""
    out, _ = transport.exec_raw("import machine; print(machine.reset_cause())", timeout=SHORT_S)
    text = out.decode(errors="replace").strip()
    return int(text) if text.isdecimal() else 0


def _interrupts(transport: SerialTransport, seconds: float) -> bool:
    """Ctrl-C until a prompt answers, so long: a node that boots does not hear the first."""
    port = transport.serial
    end = time.monotonic() + seconds
    heard = b""
    while time.monotonic() < end:
        port.write(b"\x03\r")
        time.sleep(0.1)
        heard = (heard + port.read(port.in_waiting))[-400:]
        if b">>> " in heard or b"raw REPL" in heard:
            return True
    return False
