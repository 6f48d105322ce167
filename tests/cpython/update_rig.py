"""A node that is updated, on CPython: the firmware's cycle, downlink, slots and engine, its
supervisor's trial.py, a file system and NVS that outlive power cuts, and a fleet behind the door.
"""

import asyncio
import functools
import hashlib
import hmac
import importlib
import io
import random
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import cycle_rig
import esp32
import firmware_modules
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cycle_rig import CONFIG
from firmware_modules import code_of
from flash_files import Files
from node.store.rtcstate import RtcState
from node.wire import cbor, receipt, release, trust, uplink
from numbers_rig import PowerCut

detools: Any = importlib.import_module("detools")  # it has no types

NOW: int = cycle_rig.NOW
NODE = CONFIG["node"]
HMAC = bytes(range(32))
BOARD = "esp32s3-bc660k"
OLD, NEW = 100, 101  # sequences
DAY = 86400
EXPIRY = NOW + 7 * DAY
ITEM, RESULT, DETAIL = 900, 901, 902
MPY = 0x0603
RUNTIME = 0x011B00


class Key:
    """An RSA key that signs as a release's keys do."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 3072)
        self.modulus = self._key.public_key().public_numbers().n.to_bytes(384, "big")
        self.kid = hashlib.sha256(self.modulus).digest()[: release.KID]

    def sign(self, message: bytes) -> bytes:
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return self._key.sign(message, pss, hashes.SHA256())


@functools.cache
def key(name: str) -> Key:
    """The key of that name: one in each process, since making it takes a while."""
    return Key()


@functools.cache
def trusted(sequence: int = 1) -> bytes:
    """NVS `trust`: one release key, three roots of which two must agree."""
    roots = [hashlib.sha256(key(f"root{i}").modulus).digest() for i in range(3)]
    raw: bytes = trust.encode(trust.Trust(sequence, 2, roots, [key("release").modulus]))
    return raw


@functools.cache
def image(sequence: int, manners: str = "good", size: int = 9_000, own: int = 2_000) -> bytes:
    """An application's image as far as slots.py reads it. `manners`: "good", "crashes" in each
    life, is "not importable", or "deaf": it reaches nobody."""
    told = cbor.encode([sequence, CONFIG["role"], BOARD])
    same, other = random.Random(7).randbytes(size), random.Random(sequence).randbytes(own)
    rest = told + manners.encode().ljust(16) + same + other
    return b"rom:" + hashlib.sha256(rest).digest() + rest


def reading(now: int) -> bytes:
    """A record of the register."""
    raw: bytes = cbor.encode([now, 0, 2, 1830])
    return raw


def deflated(data: bytes, wbits: int = release.WBITS) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return packer.compress(data) + packer.flush()


@functools.cache
def patch(old: bytes, new: bytes) -> bytes:
    made = io.BytesIO()
    detools.create_patch(io.BytesIO(old), io.BytesIO(new), made, compression="none")
    return deflated(made.getvalue())


def component(data: bytes, kind: int = release.APPLICATION, version: Any = 0) -> Any:
    return release.Component(kind, len(data), hashlib.sha256(data).digest(), version)


def manifest(*components: Any, sequence: int = NEW, **changes: Any) -> bytes:
    """A release for the node, but for `changes`."""
    made = release.Manifest(
        sequence, bytes(16), bytes(16), CONFIG["role"], BOARD, (MPY, MPY), (0, 0xFFFFFF),
        list(components), [], EXPIRY + 300 * DAY,
    )  # fmt: skip
    raw: bytes = release.encode(made._replace(**changes))
    return raw


@functools.lru_cache(maxsize=256)
def _signature(name: str, message: bytes) -> bytes:
    return key(name).sign(message)


def envelope(raw: bytes, signers: tuple[str, ...] = ("release",)) -> bytes:
    signatures = []
    for name in signers:
        modulus = key(name).modulus if name.startswith("root") else b""
        signatures.append((key(name).kid, _signature(name, release.signed(raw)), modulus))
    sealed: bytes = release.seal(raw, signatures)
    return sealed


def signed(bare: Any, number: int, hmac_key: bytes = HMAC) -> bytes:
    """The payload of an item with this assignment, under a node's key."""
    mac = hmac.new(hmac_key, release.bound(NODE, number, bare), "sha256").digest()
    raw: bytes = release.assign(bare._replace(mac=mac[: release.MAC]))
    return raw


class Offer:
    """A release for one node: what is assigned, and its stream."""

    def __init__(
        self,
        raw: bytes,
        parts: list[tuple[int, int, bytes, bytes]],
        signers: tuple[str, ...] = ("release",),
        sealed: bytes = b"",
    ) -> None:
        self.manifest = raw
        self.envelope = sealed or envelope(raw, signers)
        self.stream = self.envelope + b"".join(data for _, _, data, _ in parts)
        self.parts = [(kind, form, len(data), base) for kind, form, data, base in parts]

    def payload(self, number: int, hmac_key: bytes = HMAC, **changes: Any) -> bytes:
        """An item's, under the node's key."""
        bare = release.Assignment(
            release.decode(self.manifest).sequence, hashlib.sha256(self.manifest).digest()[:16],
            EXPIRY, len(self.stream), self.parts, bytes(16),
        )._replace(**changes)  # fmt: skip
        return signed(bare, number, hmac_key)


def base(data: bytes) -> bytes:
    """By what a delta names the image that it starts from."""
    return data[4:12]


def offer(form: int = release.DEFLATED, new: bytes = b"", **changes: Any) -> Offer:
    """A new application in one of three forms."""
    new = new or image(NEW)
    old = image(OLD)
    data = {
        release.PLAIN: new, release.DEFLATED: deflated(new), release.DELTA: patch(old, new),
    }[form]  # fmt: skip
    part = (release.APPLICATION, form, data, base(old) if form == release.DELTA else b"")
    signers = changes.pop("signers", ("release",))
    return Offer(manifest(component(new), **changes), [part], signers)


class Idle(cycle_rig.Role):
    """Wants to sense four times a day."""

    def due(self, now: int) -> int:
        return now + 6 * 3600


class Fleet(cycle_rig.Link):
    """Behind the door: reports, receipts with items, blocks."""

    BLOCK = 512
    WINDOW = 16

    def __init__(self, board: "Board") -> None:
        super().__init__()
        self.board = board
        self.up = True
        self.knows_time = True
        self.pending: list[tuple[int, int, bytes]] = []
        self.streams: dict[int, bytes] = {}
        self.word = 0  # instead of blocks
        self.most = 1 << 30  # blocks of one contact
        self.asked: list[tuple[int, int]] = []  # (index, size)
        self.results: list[tuple[int, int, int]] = []
        self.told: dict[int, int] = {}  # the newest status, key by key

    async def open(self) -> None:
        if not self.up or self.board.manners == "deaf":
            from node.link.registration import AttachTimeout

            raise AttachTimeout("nobody hears us")
        self._left = self.most

    async def network_time(self) -> int | None:  # type: ignore[override]
        return self.board.true_now if self.knows_time else None

    async def deliver(self, data: bytes, whole: bytes, deadline_ms: int, last: bool) -> bytes:
        answer = await super().deliver(data, whole, deadline_ms, last)
        found = self.reports[-1]
        self.told.update(found.status)
        for record in found.records:
            flat = dict(record.values)
            if ITEM in flat:
                self.results.append((flat[ITEM], flat[RESULT], flat[DETAIL]))
        return answer

    def _answer(self, epoch: int, ranges: list[tuple[int, int]]) -> bytes:
        handled = self.reports[-1].status.get(uplink.HANDLED, 0) if self.reports else 0
        self.pending = [item for item in self.pending if item[0] > handled]
        answer: bytes = receipt.encode(epoch, ranges, list(self.pending))
        return answer

    async def blocks(
        self, number: int, size: int, first: int, missing: bytes, take: Any, deadline_ms: int
    ) -> int:
        if self.word:
            return self.word
        stream = self.streams.get(number)
        if stream is None:
            return release.UNKNOWN
        for i in range(8 * len(missing)):
            if not missing[i >> 3] & 128 >> (i & 7) or self._left <= 0:
                continue
            self._left -= 1
            data = stream[(first + i) * size : (first + i + 1) * size]
            self.asked.append((first + i, size))
            take(first + i, data)
        return 0


class Journal(cycle_rig.Journal):
    """Records stay from wake to wake."""

    def __init__(self) -> None:
        super().__init__(0)
        self._last = 0

    def append(self, body: bytes, priority: int = 0) -> int:
        self._last += 1
        self.records[self._last] = body
        return self._last

    @property
    def next_sequence(self) -> int:
        return self._last + 1


class Bricked(Exception):
    """No slot starts."""


class Restarted(Exception):
    """The supervisor resets the node."""


class Board:
    """A node with one application, `OLD`, confirmed in slot a."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bench = cycle_rig.Board(monkeypatch)
        machine: Any = sys.modules["machine"]
        machine.PWRON_RESET, machine.HARD_RESET, machine.WDT_RESET = 1, 2, 3
        machine.DEEPSLEEP_RESET = 4
        machine.reset_cause = lambda: self.cause
        machine.reset = _restart
        self.cause = 1
        self.files = Files()
        self.files.mount(monkeypatch)
        monkeypatch.setattr(time, "time", lambda: self.now - 946684800)
        monkeypatch.setattr(time, "ticks_add", lambda a, b: a + b, raising=False)
        monkeypatch.setattr(sys, "path", ["/rom", *sys.path])
        monkeypatch.setattr(sys.implementation, "_mpy", 0x0306, raising=False)
        for name in ("trial", "node.app"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        self.trial = importlib.import_module("trial")
        self.files.kept["/a.romfs"] = image(OLD)
        self.nvs: dict[str, Any] = esp32.flash.kept  # type: ignore[assignment]
        self.nvs.update(
            hmac=HMAC, trust=trusted(), seq=OLD, cfg=cbor.encode({**CONFIG, "board": BOARD})
        )
        self.config = {**CONFIG, "board": BOARD}
        self.skew = 0  # of the node's clock
        self.manners = "good"
        self.journal = Journal()
        self.fleet = Fleet(self)
        self.starts = 0
        self.clocks: list[Callable[[], None]] = []
        self.state: Any = None
        self._cold()
        self.boot(1)

    # -- time ---------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self._bench.now

    @now.setter
    def now(self, value: int) -> None:
        self._bench.now = value

    @property
    def true_now(self) -> int:
        return self.now

    # -- power --------------------------------------------------------------------------------

    def _cold(self) -> None:
        self._bench.memory = b""
        self.state = RtcState(self._bench._rtc)
        self.state.set("clock_sure", 1 if self.fleet.knows_time else 0)
        self.state.set("told", [self.now, b""])

    def cut(self) -> None:
        """The power fails, and comes back."""
        self.files.off()
        esp32.flash.reset()
        self._cold()
        self.state.set("urgent", 2)  # a node whose clock was lost makes contact at once
        self.boot(1)

    def boot(self, cause: int) -> None:
        """The supervisor: which slot runs."""
        self.cause = cause
        self.starts += 1
        esp32.flash.reset()
        words = self.files.kept.get("/slot", b"a - good").decode().split()
        if words[2] != "good":
            try:
                words = self._tried(words, "start")
            except Restarted:
                self.boot(2)
                return
        while True:
            found = self.files.kept.get(f"/{words[0]}.romfs", b"")
            rest = found[36:]
            whole = found[:4] == b"rom:" and hashlib.sha256(rest).digest() == found[4:36]
            self.manners = _manners(rest) if whole else "damaged"
            if whole and self.manners != "not importable":
                break
            if words[2] == "good":
                raise Bricked(self.manners)
            words = self._tried(words, "failed")
        self.files.kept["/rom/digest"] = found[4:36]
        self.files.kept["/rom/release"] = _told(rest)
        if self.manners == "crashes":
            if words[2] == "good":
                raise Bricked("what is confirmed crashes")
            self.trial.crashed(words)
            self.now += 60
            self.boot(4)

    def _tried(self, words: list[str], what: str) -> list[str]:
        try:
            found: list[str] = getattr(self.trial, what)(words)
        except OSError as e:
            raise Bricked(str(e)) from None
        return found

    @property
    def runs(self) -> int:
        """The sequence of the release that runs."""
        sequence: int = cbor.decode(self.files.kept["/rom/release"])[0]  # type: ignore[index]
        return sequence

    # -- wakes --------------------------------------------------------------------------------

    def wake(self) -> Any:
        """One wake, and what follows from it; `now` is when the next one is due. A power cut in it
        is one."""
        cycle = self._bench._cycle(
            self.config, self.state, self.journal, Idle(), lambda: self.fleet
        )
        kind = self.files.kept.get("/slot", b"a - good").decode().split()[2]
        if kind != "good":
            cycle.on_trial = True
            self.state.set("urgent", 2)
        try:
            asyncio.run(cycle.run(cycle_rig.TIMER))
        except PowerCut:
            self.cut()
            return None
        until = cycle.next_wake()
        self.state.save()
        self.state = RtcState(self._bench._rtc)
        assert self.state.load() == 1
        if cycle.reboot:
            self.boot(2)
        elif self.files.kept.get("/slot", b"").endswith(b" runtime"):
            importlib.import_module("node.update.slots").give_up(3)  # App, instead of sleeping
            self.boot(2)
        elif kind != "good":
            self.boot(4)  # every wake is a boot: the supervisor counts
        if until is not None:
            self.now = max(self.now + 1, until)
        return cycle

    def give(self, given: Offer, number: int = 1, **changes: Any) -> None:
        """The fleet assigns it."""
        self.fleet.streams[number] = given.stream
        self.fleet.pending.append((number, receipt.UPDATE, given.payload(number, **changes)))
        self.state.set("next_report", 0)
        self.state.set("urgent", 2)

    def go(self, wakes: int = 60, until: Callable[[], bool] | None = None) -> list[Any]:
        """Wakes until the fleet has a result, or `until`; the results."""
        for _ in range(wakes):
            if until() if until else self.fleet.results:
                break
            self.wake()
        return self.fleet.results

    @property
    def stage(self) -> int:
        """Of the job's file; 0: there is none."""
        found = self.files.kept.get("/update/job")
        return cbor.decode(found)[2] if found else 0  # type: ignore[index]


def _restart() -> None:
    raise Restarted


def _told(rest: bytes) -> bytes:
    for end in range(1, 64):
        try:
            cbor.decode(rest[:end])
        except cbor.CborError:
            continue
        return rest[:end]
    return b""


def _manners(rest: bytes) -> str:
    at = len(_told(rest))
    return rest[at : at + 16].decode("latin").strip()


_sabotaged: list[tuple[str, str, str]] = []


def sabotage(name: str, guard: str, without: str) -> None:
    """From now on, in this test, the firmware's file `name` lacks a guard."""
    _sabotaged.append((name, guard, without))


def _code(path: str) -> CodeType:
    changes = [(guard, without) for name, guard, without in _sabotaged if path.endswith(name)]
    if not changes:
        return code_of(path)
    text = Path(path).read_text()
    for guard, without in changes:
        assert text.count(guard) == 1, f"{path} has no such guard"
        text = text.replace(guard, without)
    return compile(text, path, "exec", dont_inherit=True)


def boards(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board; the firmware's modules are loaded anew for it."""
    import chip_asyncio  # noqa: F401 - wait_for_ms

    esp32.flash = esp32.Flash()
    _sabotaged.clear()
    monkeypatch.setattr(firmware_modules, "code_of", _code)
    for name in [name for name in sys.modules if name.startswith("node.update")]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield Board(monkeypatch)
    _sabotaged.clear()
    esp32.flash = esp32.Flash()
