"""What was compiled is kept: made once of the same, by one of many, anew when it was damaged."""

import multiprocessing
from pathlib import Path

import pytest

from fleet.paths import firmware_dir
from fleet.releases import closure, rescue, slots
from fleet.releases.kept import kept


def test_the_same_is_made_once_and_anything_else_anew(tmp_path: Path) -> None:
    made: list[bytes] = []

    def ask(*what: object) -> bytes:
        def make() -> bytes:
            made.append(repr(what).encode())
            return made[-1]

        return kept(tmp_path / "out", what, make)

    assert ask("a", {"b": "c"}) == ask("a", {"b": "c"})
    assert len(made) == 1
    # Parts that run into each other, and what only looks alike.
    others = [ask("a", "bc"), ask("ab", "c"), ask("a", "b", "c"), ask("abc"), ask(("a", "bc"))]
    assert len(set(others)) == len(others)
    assert ask(1) != ask("1")


def test_what_was_damaged_is_made_anew(tmp_path: Path) -> None:
    (first,) = [kept(tmp_path, ["x"], lambda: b"as it was made")]
    (path,) = tmp_path.glob("*.kept")
    whole = path.read_bytes()
    for damage in (b"", whole[:20], whole[:-1], whole[:-1] + b"E"):
        path.write_bytes(damage)
        assert kept(tmp_path, ["x"], lambda: b"as it was made") == first
        assert path.read_bytes() == whole


def test_another_builder_makes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept(tmp_path, ["x"], lambda: b"old") == b"old"
    monkeypatch.setattr("fleet.releases.kept._builder", lambda: b"changed since")
    assert kept(tmp_path, ["x"], lambda: b"new") == b"new"


def test_who_fails_to_make_it_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        kept(tmp_path, ["x"], lambda: bytes(1 // 0))
    assert kept(tmp_path, ["x"], lambda: b"then") == b"then"


def _ask(out: Path, marks: Path, n: int) -> bytes:
    def make() -> bytes:
        (marks / str(n)).touch()
        return b"by one of them"

    return kept(out, ["x"], make)


def test_of_many_processes_at_once_one_makes_it(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        got = pool.starmap(_ask, [(tmp_path / "out", marks, n) for n in range(8)])
    assert set(got) == {b"by one of them"}
    assert len(list(marks.iterdir())) == 1


def test_what_is_kept_of_the_firmware_is_what_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that finds nothing kept, as a release's, gives the bytes that others find."""
    out = slots.cache_dir() / "node"
    found = slots.build(firmware_dir(), out), rescue.build(firmware_dir(), out)

    def never(*_: object) -> bytes:
        raise AssertionError("compiled, though it is kept")

    monkeypatch.setattr(slots, "compiled", never)
    assert (slots.build(firmware_dir(), out), rescue.build(firmware_dir(), out)) == found
    with pytest.raises(AssertionError, match="compiled"):
        slots.chosen(firmware_dir(), tmp_path, closure.Choice(), ())
