"""Attacks on a master station's session: writes in disguise, foreign nodes, local strangers."""

import asyncio
import json
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from firmware_modules import forget, fresh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.uplink import bus_frames
from fleet.uplink.bus_desk import NOT_ALLOWED, BusDesk
from fleet.wire import cbor, cjt188, dlt645, modbus

PLATE, GAS = "000000000161", "78330011223344"
OPEN = cjt188.valve_request(cjt188.GAS, GAS, cjt188.OPEN, 0)
NODE, OTHER = "1gntj14d2p", "1gntj14d2q"


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "machine", types.ModuleType("machine"))
    forget("sense.bus")
    return fresh("passing")


READS = [
    modbus.read_request(17, 3, 0, 5),
    dlt645.read_request(PLATE, 0x00010000),
    dlt645.WAKE + dlt645.read_request(PLATE, 0x00010000, 1),
    dlt645.read_address_request(),
    cjt188.WAKE + cjt188.read_request(cjt188.GAS, GAS, cjt188.METERED, 0),
    cjt188.read_address_request(),
]
WRITES = {
    "a valve": OPEN,
    "a valve behind wake bytes": b"\xfe" * 4 + OPEN,
    "a valve of any meter": cjt188.valve_request(cjt188.ANY_TYPE, cjt188.ANY, cjt188.CLOSE, 0),
    "a meter's relay": dlt645.encode(PLATE, dlt645.CONTROL, bytes(16)),
    "a meter's address": dlt645.encode(dlt645.ANY, 0x15, bytes(6)),
    "every meter's clock": dlt645.encode(dlt645.EVERY, dlt645.SET_TIME, bytes(6)),
    "a register": modbus.write_request(1, 0, [1]),
    "registers": modbus.write_request(1, 0, [1, 2]),
    "a coil": modbus.encode(1, bytes((5, 0, 0, 0xFF, 0))),
    "a mask": modbus.encode(1, bytes((0x16, 0, 4, 0, 0xF2, 0, 0x25))),
    "every Modbus device": modbus.encode(0, bytes((3, 0, 0, 0, 1))),
    "a meter's new base": cjt188.encode(0x10, GAS, cjt188.SET_BASE, bytes(8)),
    "a valve in the data of a read": dlt645.encode(PLATE, dlt645.READ, OPEN),
    "a valve in the data of a water meter's read": cjt188.encode(0x10, GAS, cjt188.READ, OPEN),
    "a valve behind a read": READS[1] + OPEN,
    "a read with a wrong checksum": READS[1][:-2] + b"\x00\x16",
    "nothing": b"",
    "wake bytes": b"\xfe" * 8,
}


@pytest.mark.parametrize("frame", READS, ids=range(len(READS)))
def test_what_reads_passes(passing: Any, frame: bytes) -> None:
    length, head = passing.reader(frame)
    assert head in (0x68, frame[0])
    assert callable(length)
    assert bus_frames.split(frame) == ([frame], b"")


@pytest.mark.parametrize("name", WRITES)
def test_what_writes_does_not_pass(passing: Any, name: str) -> None:
    assert passing.reader(WRITES[name]) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80))
def test_whatever_a_master_station_sends_is_judged(passing: Any, data: bytes) -> None:
    for frame in (data, modbus.encode(1, data[:200] or b"\x01"), dlt645.encode(PLATE, 0x11, data)):
        if passing.reader(frame) is not None:
            assert len(frame.lstrip(b"\xfe")) <= 22, "no room for a frame in a read's data"


@given(st.binary(max_size=300))
def test_frames_are_pieces_of_what_came(data: bytes) -> None:
    frames, rest = bus_frames.split(data)
    assert len(rest) <= bus_frames.MOST
    assert sum(map(len, frames)) + len(rest) <= len(data)
    assert all(frame in data for frame in frames)


@given(st.lists(st.sampled_from([*READS, *list(WRITES.values())[:8]]), max_size=6), st.data())
def test_frames_are_cut_alike_however_their_bytes_come(
    frames: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(frames)
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=4).map(sorted))
    found, rest = [], b""
    for first, last in zip([0, *places], [*places, len(whole)], strict=True):
        more, rest = bus_frames.split(rest + whole[first:last])
        found += more
    assert (found, rest) == (frames, b"")


class Desk:
    """A desk, what it said to nodes, and connections to it."""

    def __init__(self, folder: Path) -> None:
        self.desk = BusDesk(folder / "bus.json")
        self.file = folder / "bus.json"
        self.said: list[tuple[str, Any]] = []

    async def start(self) -> None:
        await self.desk.start(lambda node, raw: self.said.append((node, cbor.decode(raw))))

    def from_node(self, node: str, *said: Any) -> None:
        self.desk.heard(node, cbor.encode(list(said)))

    async def connect(self, **changes: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        told = json.loads(self.file.read_text())
        reader, writer = await asyncio.open_connection("127.0.0.1", told["port"])
        first = {"secret": told["secret"], "node": NODE, "wait_s": 5, **changes}
        writer.write(json.dumps(first).encode() + b"\n")
        return reader, writer

    async def ask(self, frame: bytes) -> "asyncio.Task[bytes | int | None]":
        task = asyncio.create_task(self.desk.exchange(NODE, frame))
        await asyncio.sleep(0)
        return task


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(tmp_path)
    await opened.start()
    yield opened
    await opened.desk.stop()
    assert not opened.file.exists()


async def test_a_stranger_without_the_secret_gets_nothing(desk: Desk) -> None:
    assert desk.file.stat().st_mode & 0o077 == 0, "nobody else can read it"
    desk.from_node(NODE, 0, 60)
    for secret in ("", "0" * 32, None, 7):
        reader, writer = await desk.connect(secret=secret)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
    assert desk.said == []


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"{}\n", b"\xff\n", b"x" * 9000 + b"\n"])
async def test_noise_at_the_desk_ends_one_connection(desk: Desk, line: bytes) -> None:
    told = json.loads(desk.file.read_text())
    reader, writer = await asyncio.open_connection("127.0.0.1", told["port"])
    writer.write(line)
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    desk.from_node(NODE, 0, 60)
    reader, writer = await desk.connect()
    assert json.loads(await reader.readline())["left_s"] > 50
    writer.close()


async def test_without_a_session_no_frame_goes_out(desk: Desk) -> None:
    assert await desk.desk.exchange(NODE, READS[0]) is None
    assert desk.said == []


async def test_another_node_cannot_answer_and_neither_can_an_old_answer(desk: Desk) -> None:
    desk.from_node(NODE, 0, 60)
    desk.from_node(OTHER, 0, 60)
    await asyncio.sleep(0)
    task = await desk.ask(READS[0])
    ((node, (number, frame)),) = desk.said
    assert (node, frame) == (NODE, READS[0])
    desk.from_node(OTHER, number, b"forged")
    desk.from_node(NODE, number + 1, b"of another question")
    desk.from_node(NODE, number, [1])
    await asyncio.sleep(0.01)
    assert not task.done()
    desk.from_node(NODE, number, b"answer")
    assert await task == b"answer"
    desk.from_node(NODE, number, b"again")
    task = await desk.ask(READS[1])
    await asyncio.sleep(0.01)
    assert not task.done()
    desk.from_node(NODE, number + 1, NOT_ALLOWED)
    assert await task == NOT_ALLOWED


async def test_who_waits_is_told_when_the_session_ends(desk: Desk) -> None:
    desk.from_node(NODE, 0, 60)
    await asyncio.sleep(0)
    task = await desk.ask(READS[0])
    desk.from_node(NODE, 0, 0)
    assert await asyncio.wait_for(task, 60) is None
    assert desk.desk.left(NODE) == 0


@given(st.binary(max_size=64))
def test_a_node_may_say_what_it_likes(data: bytes) -> None:
    async def hear() -> None:
        desk = BusDesk(Path("/nowhere"))
        desk._heard(NODE, data)

    asyncio.run(hear())
