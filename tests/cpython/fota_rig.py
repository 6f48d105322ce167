"""A node's contacts while its modem gets new firmware: real session and driver, and the twin.

The node sleeps between two contacts, in which what the modem says is lost.
"""

import asyncio
import hashlib
import importlib
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any

import esp32
import pytest
from file_server import FileServer
from modem_bench import Bench, jumping
from node.errors import LinkError
from node.update.ends import Refused
from node.wire import release

from hil.virtual.modem import ModemTwin
from hil.virtual.modem.air import AirOptions
from hil.virtual.modem.fota import FotaOptions, package
from hil.virtual.modem.scenario import Scenario

NEW = "VERSION_B02"
NUMBER = 7
APART_S = 300
LEFT_MS = 100_000
PINS = {7: "reset", 8: "pwrkey"}


class Memory(dict[str, Any]):
    """RtcState's get and set."""

    set = dict.__setitem__


class Pin:
    """An output of the board, wired to the twin."""

    OUT = 3

    def __init__(self, number: int, _mode: int) -> None:
        self.name = PINS[number]

    def value(self, level: int) -> None:
        Node.here.bench.twin.pin(self.name, level)


class Node:
    """`contact` is one wake; `state` its RTC memory, `ended` how the component ended."""

    here: "Node"

    def __init__(self, bench: Bench, server: FileServer, data: bytes) -> None:
        self.bench = bench
        self.server = server
        self.state = Memory()
        self.contacts = 0
        self.ended: str | Refused = ""
        self.guarded = True
        self.skew = 0  # of its clock, in s
        self.errors: list[LinkError] = []
        component = release.Component(release.MODEM, len(data), hashlib.sha256(data).digest(), NEW)
        server.files["/" + component.digest[:8].hex()] = data
        self.component = component
        self.job: Any = types.SimpleNamespace(
            number=NUMBER, spans={release.MODEM: (release.FETCHED, 900, 900, b"")}
        )
        self.config = {
            "modem": bench.twin.family.table.name, "apn": "", "attach_s": 60, "host": "localhost",
            "pins": {"tx": 1, "rx": 2, "reset": 7, "pwrkey": 8},
            "fota": f"127.0.0.1:{server.port}/",
        }  # fmt: skip
        Node.here = self

    async def contact(self) -> None:
        """One wake, as a cycle makes it; a LinkError ends it."""
        session_module = importlib.import_module("node.link.session")
        part = importlib.import_module("node.update.modem_part")
        self.contacts += 1
        self.bench._pending.clear()
        if not self.guarded:
            self.state["fota"] = 0
        session = session_module.Session(self.config, self.state)
        try:
            await session.open()
            if part.standing(self.job, self.component) != "done":
                await part.converse(self.job, self.component, session, LEFT_MS)
            if part.standing(self.job, self.component) == "done":
                self.ended = "done"
        except LinkError as e:
            self.errors.append(e)
        except Refused as e:
            self.ended = e
        finally:
            await session.close()
            self.bench.twin.deep_sleep_of_host()

    async def open_and_close(self) -> None:
        """A wake in which nobody talks of the modem."""
        session = importlib.import_module("node.link.session").Session(self.config, self.state)
        await session.open()
        await session.close()

    async def sleep(self, seconds: float = APART_S) -> None:
        """Until the next wake."""
        await asyncio.sleep(seconds)

    async def finish(self, most: int = 60) -> None:
        """Contacts until it has ended."""
        while not self.ended and self.contacts < most:
            await self.contact()
            await self.sleep()

    def power_cut(self) -> None:
        """Of the board: RTC memory goes, the modem starts anew, NVS stays."""
        self.state.clear()
        esp32.flash.reset()
        self.bench.twin.power_off()
        self.bench.twin.power_on()


def play(
    monkeypatch: pytest.MonkeyPatch, family: str, case: Callable[[Node], Awaitable[None]], *,
    size: int = 4000, fault: str = "none", base: str = "", write_s: float = 90.0,
    delay_s: float = 0.0,
) -> None:  # fmt: skip
    """`case` with a node whose modem is to get `size` bytes that update `base`; each piece of
    it is `delay_s` on its way.
    """

    async def main() -> None:
        air = AirOptions(delay_s=delay_s)
        scenario = Scenario(fota=FotaOptions(fault=fault, write_s=write_s), air=air)
        twin = ModemTwin(family, seed=1, attach_delay_s=(1, 2), scenario=scenario, chatter=0.0)
        bench = Bench(twin)
        machine: Any = types.ModuleType("machine")
        machine.UART = lambda *_, **__: bench
        machine.Pin = Pin
        monkeypatch.setitem(sys.modules, "machine", machine)
        for name in ("clock", "link.session", "link.writing", "update.modem_part"):
            monkeypatch.delitem(sys.modules, "node." + name, raising=False)
        clock = importlib.import_module("node.clock")
        monkeypatch.setattr(clock, "now", lambda: bench.now() // 1_000_000 + Node.here.skew)
        monkeypatch.setattr(clock, "is_set", lambda: True)
        twin.power_on()
        data = package(family, base or twin.fota.version, NEW, size)
        async with FileServer() as server:
            await case(Node(bench, server, data))
        twin.power_off()

    jumping(main)
