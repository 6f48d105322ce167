"""Deltas are made beside the fleet, and only one that was proved twice is kept."""

import os
import select
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fleet_rig as rig
import pytest
from release_rig import real, small, small_image, trusting_database

from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.paths import firmware_dir
from fleet.releases import deltas, diff, intake, proof, target, workshop
from fleet.releases.tables import Delta
from fleet.updates.parts import deflated
from fleet.wire import release

BASE = target.image_digest(small_image(7))[:8]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Releases 7 and 8, and the delta between them is wanted."""
    with closing(trusting_database(tmp_path)) as opened:
        for sequence in (7, 8):
            with opened.begin() as session:
                filler = bytes(range(256)) * 40
                made = small(sequence, app=filler, more=filler[::-1])
                intake.add(session, made, "Li Wei", rig.NOW_US)
                intake.promote(session, sequence, "Li Wei", rig.NOW_US)
        yield opened


def only(database: Database) -> Delta:
    with database.read() as session:
        ((found, _),) = deltas.listed(session)
    return found


def test_a_number_changed_is_a_patch_of_a_few_bytes() -> None:
    first, second = (real(n).components[release.APPLICATION] for n in (7, 8))
    patch = diff.make(first, second)
    assert len(patch) < 300
    assert patch[0] >> 4 <= release.WBITS - 8  # zlib says its window there


def test_the_workshop_makes_what_is_wanted(database: Database) -> None:
    assert workshop.make_all(database) == 1
    with database.read() as session:
        one = only(database)
        patch = deltas.ready(session, one.base, 8)
    assert one.state == "ready"
    assert patch is not None
    assert len(patch) < 200
    assert workshop.make_all(database) == 0


def test_a_tick_waits_for_nothing(database: Database) -> None:
    shop = workshop.Workshop(database)
    try:
        shop.tick()
        assert shop.busy
        assert only(database).state == "preparing"
        shop.wait()
        shop.tick()
        assert (only(database).state, shop.busy) == ("ready", False)
    finally:
        shop.close()


def test_what_was_cut_short_is_begun_anew(database: Database) -> None:
    shop = workshop.Workshop(database)
    shop.tick()
    shop.close()
    shop.tick()  # one that was in its thread when the fleet ended
    assert not shop.busy
    assert only(database).state == "preparing"
    assert workshop.make_all(database) == 1


def test_one_that_takes_too_long_has_failed(database: Database) -> None:
    now = 0.0
    shop = workshop.Workshop(database, lambda: now)
    shop.tick()
    now += workshop.LONGEST_S + 1
    shop.tick()
    shop.close()
    one = only(database)
    # Unless it was done meanwhile, which is as good.
    assert one.state == "ready" or "took more than" in one.reason


def test_one_that_fails_says_why(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    workshop.make_all(database)
    one = only(database)
    assert (one.state, one.reason) == ("failed", "its process ended with 1")


def test_without_detools_they_wait(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "can", lambda: False)
    assert workshop.make_all(database) == 0
    assert only(database).state == "preparing"
    with pytest.raises(Refusal, match="kapok"):
        workshop.check()


def changed(patch: bytes, at: int) -> bytes:
    """A patch whose inside differs by one bit."""
    inside = bytearray(zlib.decompress(patch))
    inside[at] ^= 1
    return deflated(bytes(inside))


def test_a_patch_that_makes_something_else_is_not_proved() -> None:
    """Each proof by itself: that of detools, and the firmware's own code on the VM."""
    old, new = small_image(7, app=bytes(3000)), small_image(8, app=bytes(2999) + b"\1")
    patch = deflated(diff._sequential(old, new))
    diff.prove(old, new, patch)
    for at in range(0, 60, 7):
        bad = changed(patch, at)
        with pytest.raises(Refusal):
            diff.prove(old, new, bad)
    bad = changed(patch, 40)
    with pytest.raises(proof.ProofError):
        proof.check(firmware_dir(), release.DELTA, old, new, bad)
    with pytest.raises(proof.ProofError):
        proof.check(firmware_dir(), release.DELTA, old, new, zlib.compress(b"not a patch"))


def test_a_vm_that_was_killed_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_VM", ("/bin/sh", "-c", "kill -9 $$"))
    with pytest.raises(proof.KilledError, match="signal 9"):
        proof.check(firmware_dir(), release.PLAIN, b"x", b"y", b"y")


def test_a_window_that_no_node_has_is_not_proved() -> None:
    """What detools' own code takes, a node would refuse: this is what the second proof is for."""
    old, new = small_image(7, app=bytes(3000)), small_image(8, app=bytes(3000))
    wide = zlib.compress(diff._sequential(old, new), 9)
    assert diff._applied(old, wide) == new
    with pytest.raises(proof.ProofError):
        diff.prove(old, new, wide)


def test_a_patch_that_is_no_shorter_is_none() -> None:
    import random

    noise = random.Random(1).randbytes(2000)
    with pytest.raises(diff.DeltaError, match="no shorter"):
        diff.make(noise[::-1], noise)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where folders of the workshop go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_process_that_cannot_start_leaves_nothing_and_rests(
    database: Database, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    shop = workshop.Workshop(database, lambda: now)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(OSError, match="nowhere"):
        shop.tick()
    assert list(temporary.iterdir()) == []
    shop.tick()  # at rest
    now += workshop.REST_S
    with pytest.raises(OSError, match="nowhere"):
        shop.tick()
    assert list(temporary.iterdir()) == []


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("end", ["kill -9 $$", "echo no room >&2; exit 75"])
def test_what_may_go_well_the_next_time_is_tried_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    now = 0.0
    shop = workshop.Workshop(database, lambda: now)
    monkeypatch.setattr(sys, "executable", script(tmp_path / "python", end))
    for _ in range(workshop.TRIES):
        assert only(database).state == "preparing"
        shop.tick()
        assert shop.busy
        shop.wait()
        shop.tick()
        assert not shop.busy
        now += workshop.REST_S
    assert only(database).state == "failed"


def test_what_a_process_began_ends_with_it(
    database: Database, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its VM, in the middle of a proof."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = f"sh -c 'mktemp; exec >{pipe}; echo on; sleep 60' & wait"
    monkeypatch.setattr(sys, "executable", script(tmp_path / "python", text))
    shop = workshop.Workshop(database)
    shop.tick()
    with pipe.open() as child:
        assert child.readline() == "on\n"
        shop.close()
        assert select.select([child], [], [], 10)[0], "somebody holds the pipe still"
    assert list(temporary.iterdir()) == []


def test_room_and_memory_pass_and_a_bad_patch_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / name) for name in ("base", "new", "patch")]
    monkeypatch.setattr(os, "nice", lambda _by: 0)
    assert diff.main(words) == diff.PASSING  # no such file
    for name in ("base", "new"):
        (tmp_path / name).write_bytes(b"x")
    for error, code in (
        (MemoryError(), diff.PASSING), (proof.KilledError("signal 9"), diff.PASSING),
        (proof.ProofError("no"), 1),
    ):  # fmt: skip

        def fails(_base: bytes, _new: bytes, error: Exception = error) -> bytes:
            raise error

        monkeypatch.setattr(diff, "make", fails)
        assert diff.main(words) == code
    assert capsys.readouterr().err.splitlines()[1:] == ["MemoryError", "signal 9", "no"]
