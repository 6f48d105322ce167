"""What the node of a place senses: made by the virtual board, or by a stimulus board."""

import contextlib
import json
import termios
import threading
import time
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from fleet.flashing.console import LOOK, opened
from hil import subdevices
from hil.drivers.bench import BenchDriver
from hil.faults import RigFault
from hil.protocols import Stimulus
from hil.resources.stimulus import StimulusBoard

ANSWER_S = 10.0
START_S = 10.0
PROBE_S = 2.0
PROBED = "a stimulus is one of"  # the answer to an empty object
# Out of whatever runs there, into the raw prompt, and to the program: as its main.py does.
START = b"\r\x03\x03\r\x01import board\nboard.serve()\n\x04"


@target_factory.reg_driver
@attr.s(eq=False)
class BenchStimulusDriver(Driver, Stimulus):
    """The virtual board's pins, by the bench's control socket."""

    bindings = {"bench": "BenchDriver"}  # noqa: RUF012  labgrid's way
    bench: BenchDriver

    @Driver.check_active
    @step(args=["asked"])
    def do(self, **asked: Any) -> dict[str, Any]:
        """As Stimulus.do."""
        found: dict[str, Any] = self.bench.ask("stimulus", **asked)
        return found

    def renew(self) -> None:
        """Nothing: pins are made anew with the board."""


@target_factory.reg_driver
@attr.s(eq=False)
class StimulusDriver(Driver, Stimulus):
    """The board's serial port, from when it is active; its wires are told it then, and rest."""

    bindings = {"board": "StimulusBoard"}  # noqa: RUF012  labgrid's way
    board: StimulusBoard

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._line: Any = None
        self._profiles: dict[str, str] = {}
        self._turn = threading.Lock()  # one request at a time: its meter is read meanwhile

    def on_activate(self) -> None:
        """Open the port, start the program where it does not run, and wire it; RigFault."""
        try:
            self._line = opened(self.board.port, LOOK)
        except (OSError, termios.error) as e:
            self._line = None
            raise RigFault(f"{self.target.name}: stimulus board: {e}") from None
        try:
            if not self._answers():
                self._start()
            self.renew()
        except RigFault:
            self.on_deactivate()
            raise

    def on_deactivate(self) -> None:
        """Close the port; its contacts rest."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.write(b'\n{"wire": {}}\n')
                line.flush()
                self._told(line, PROBE_S)  # else whoever opens the port next gets this answer
            line.close()
        self._profiles.clear()

    def renew(self) -> None:
        """Its wires are told it anew: contacts rest, and nobody hangs on the bus."""
        self._profiles.clear()
        self._done({
            "wire": {
                "channels": self.board.channels, "bus": self.board.bus, "meter": self.board.meter,
            }
        })  # fmt: skip

    @Driver.check_active
    @step(args=["asked"])
    def do(self, **asked: Any) -> dict[str, Any]:
        """As Stimulus.do. A sub-device's profile becomes what the board plays (hil/subdevices)."""
        if "bus" in asked:
            asked = self._raw(asked)
        return self._done(asked)

    def meter(self) -> dict[str, Any]:
        """What it measured since the last call; from any thread, and so no step of labgrid's."""
        return self._done({"meter": "read"})

    def _done(self, asked: dict[str, Any]) -> dict[str, Any]:
        told = self._ask(asked, ANSWER_S)
        if "error" in told:
            raise RigFault(f"{self.target.name}: stimulus board: {told['error']}")
        return told

    def _ask(self, asked: dict[str, Any], seconds: float) -> dict[str, Any]:
        with self._turn:
            try:
                self._line.reset_input_buffer()
                self._line.write(json.dumps(asked).encode() + b"\n")
                told = self._told(self._line, seconds)
            except OSError as e:
                raise RigFault(f"{self.target.name}: stimulus board: {e}") from None
        if told is None:
            raise RigFault(
                f"{self.target.name}: the stimulus board on {self.board.port} does not answer: "
                "is its firmware there (docs/bench.md)?"
            )
        return told

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            self._line.write(b"\n{}\n")
            end = time.monotonic() + PROBE_S
            while told := self._told(self._line, end - time.monotonic()):
                if PROBED in str(told.get("error")):  # and not what one before had asked
                    return True
        return False

    def _start(self) -> None:
        with contextlib.suppress(OSError):
            self._line.write(START)
            if self._told(self._line, START_S) is not None:
                return
        raise RigFault(
            f"{self.target.name}: the stimulus board on {self.board.port} does not start: is its "
            "firmware there (docs/bench.md)?"
        )

    @staticmethod
    def _told(line: Any, seconds: float) -> dict[str, Any] | None:
        """The next line that is an object; None where none comes in time."""
        end, heard = time.monotonic() + seconds, b""
        while time.monotonic() < end:
            heard += line.read_until(b"\n")
            if not heard.endswith(b"\n"):
                continue
            text = heard[heard.find(b"{") :] if b"{" in heard else b""
            heard = b""
            with contextlib.suppress(ValueError):
                told = json.loads(text)
                if isinstance(told, dict) and told.keys() & {"ok", "error", "ready"}:
                    return told
        return None

    def _raw(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["bus"] == "list":
            return asked
        given = str(asked.get("address"))
        profile = str(asked.get("profile", self._profiles.get(given.lstrip("0"), "")))
        try:
            address = subdevices.address(profile, given)
            values = subdevices.raw(profile, asked.get("values", {}))
            line = subdevices.line(profile)
        except subdevices.SubDeviceError as e:
            raise RigFault(f"{self.target.name}: stimulus board: {e}") from None
        self._profiles[given.lstrip("0")] = profile
        return {**asked, **line, "address": address, "values": values}
