"""Each guard of loader and bench taken away: what it guards against shows."""

import fcntl
import os
import struct
import zlib
from pathlib import Path

import pytest

from hil.virtual.bench.folder import BenchError, Folder
from hil.virtual.esprom import frames as op
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.frames import Refused, Request
from hil.virtual.esprom.nor import Nor
from hil.virtual.esprom.slip import Decoder
from hil.virtual.esprom.strap import SyncWatch
from hil.virtual.esprom.transfer import Transfer

SIZE = 1 << 20


def write(nor: Nor, data: bytes) -> bytes:
    """What is at 0 after a transfer of `data`."""
    Transfer(nor, Faults(), 0, len(data), False).take(data)
    return nor.read(0, len(data))


def test_without_the_erase_the_flash_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nor = Nor(tmp_path / "flash.bin", SIZE)
    assert write(nor, b"\x0f" * 64) == b"\x0f" * 64
    assert write(nor, b"\xf0" * 64) == b"\xf0" * 64
    monkeypatch.setattr(Transfer, "_erase_to", lambda *_: 0)
    assert write(nor, b"\x0f" * 64) == b"\0" * 64


def test_without_the_limit_a_small_stream_fills_the_flash(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(SIZE // 2))
    assert len(bomb) < 1000
    nor = Nor(tmp_path / "flash.bin", SIZE)
    with pytest.raises(Refused):
        Transfer(nor, Faults(), 0, 100, True).take(bomb)
    assert nor.programs == 0
    Transfer(nor, Faults(), 0, SIZE, True).take(bomb)  # as if nothing had been announced
    assert nor.programs == SIZE // 2 // 256


def test_without_the_limit_a_frame_without_end_grows() -> None:
    bounded, open_ended = Decoder(), Decoder(most=1 << 62)
    for decoder in (bounded, open_ended):
        decoder.feed(b"\xc0" + b"a" * 60_000)
        decoder.feed(b"a" * 60_000)
    assert bounded.pending == 0
    assert open_ended.pending == 120_000


def test_without_the_checksum_a_changed_byte_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    body = struct.pack("<4I", 2, 0, 0, 0) + b"ab"
    wrong = Request(op.FLASH_DATA, 0, body)
    with pytest.raises(Refused):
        wrong.payload()
    monkeypatch.setattr("hil.virtual.esprom.frames.reduce", lambda *_: 0)
    assert wrong.payload() == b"ab"


def test_without_the_hold_half_a_sync_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    def halves() -> tuple[bytes, bytes | None]:
        watch = SyncWatch()
        typed, _ = watch.feed(op.SYNC_FRAME[:20])
        more, sync = watch.feed(op.SYNC_FRAME[20:])
        return typed + more, sync

    assert halves() == (b"", op.SYNC_FRAME)
    monkeypatch.setattr("hil.virtual.esprom.strap.SYNC_FRAME", b"")
    monkeypatch.setattr(SyncWatch, "feed", lambda _, data: (data, None))
    assert halves() == (op.SYNC_FRAME, None)


def test_without_the_lock_two_benches_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Folder(tmp_path / "bench"), Folder(tmp_path / "bench")
    first.hold()
    with pytest.raises(BenchError, match="a bench runs on"):
        second.hold()
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    second.hold()
    first.tell({"pid": os.getpid(), "mine": 1})
    second.tell({"pid": os.getpid(), "mine": 2})
    first.let_go()
    assert not (tmp_path / "bench" / "bench.json").exists(), "the second one's is gone as well"
    second.let_go()
