"""Path traversal: an image whose files would lie elsewhere. Nobody unpacks an image: a node mounts
it, read-only, at one place. What names another is neither signed nor taken in.
"""

from pathlib import Path

import fleet_rig as rig
import pytest
from cli_rig import out, refusal
from hypothesis import given
from hypothesis import strategies as st
from image_forge import file, with_record
from release_rig import keys, of, trusting_database

from fleet.releases import bundle, content, intake, romfs, slots, target
from fleet.releases.errors import BundleError
from fleet.wire import cbor, release

NAMES = [
    "..", ".", "", "/", "//", "../boot.py", "../../boot.py", "/boot.py", "/etc/passwd",
    "..\\boot.py", "C:\\boot.py", "node/../../boot.py", "boot.py\0", "\0", "bo\not.py", " boot.py",
    "boot.py ", "~", "~root", "$HOME", "con", "NUL", "Main.mpy", "MAIN.MPY", "main.mpy.",
    "ｍain.mpy", "main\u202e.mpy", "m\u0430in.mpy", "a" * 300, "-rf", "*", "main.mpy:stream",
    ".hidden", "main.py", "%2e%2e", "..%2f",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_attack_path_traversal(name: str) -> None:
    with pytest.raises(BundleError, match="its application"):
        content.check(with_record(file(name.encode())))


@given(st.binary(max_size=12))
def test_attack_path_traversal_by_any_name(name: bytes) -> None:
    if romfs.NAME.fullmatch(name.decode("latin")):
        return  # a plain name; where it may lie is content.py's matter
    with pytest.raises(BundleError):
        content.check(with_record(file(name)))


@pytest.mark.parametrize("name", ["boot", "main.mpy", "node", "trial", "slot", "lib"])
def test_attack_files_beside_the_application(name: str) -> None:
    """Good names in a place where none belongs, such as a module that shadows one."""
    with pytest.raises(BundleError, match="its application"):
        content.check(with_record(file(name.encode())))


@pytest.mark.parametrize("kind", [0, 1, 3, 6, 7, 0x7F])
def test_attack_records_that_are_no_files(kind: int) -> None:
    """Pointers into flash, links, whatever another runtime may know."""
    with pytest.raises(BundleError, match="its application"):
        content.check(with_record(romfs._record(kind, b"\x01a\0\0")))


def test_attack_native_code() -> None:
    """Machine code is loaded without a look at it: none is in a release."""
    for head in (b"M\x06\x2b\x1f", b"M\x05\0\x1f", b"M\x07\0\x1f", b"# source"):
        image = slots.slot_image(
            {
                target.RELEASE: cbor.encode([7, "gas-meter", "esp32s3-bc660k"]),
                "node/main.mpy": head,
            }
        )
        with pytest.raises(BundleError, match="no bytecode"):
            content.check(of({release.APPLICATION: image}, 7))


def test_nothing_of_it_is_signed_taken_in_or_written_anywhere(tmp_path: Path) -> None:
    data, evil = tmp_path / "data", tmp_path / "evil.kapok"
    out(data, "init")
    (tmp_path / "trust").write_bytes(keys().trust)
    out(data, "release", "keys", "install", tmp_path / "trust")
    out(tmp_path, "release", "keys", "new", "--out", tmp_path / "k.pem")
    bundle.write(evil, with_record(file(b"../../../../tmp/kapok-escaped")))
    before = {path for path in tmp_path.rglob("*") if data not in path.parents}
    for words in (("sign", evil, "--key", tmp_path / "k.pem"), ("verify", evil), ("add", evil),
                  ("promote", evil)):  # fmt: skip
        assert "its application" in refusal(data, "release", *words)
    out(data, "release", "inspect", evil)
    out(data, "release", "sbom", evil)
    assert {path for path in tmp_path.rglob("*") if data not in path.parents} == before
    assert not Path("/tmp/kapok-escaped").exists()


def test_sabotage_without_the_look_it_is_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = trusting_database(tmp_path)
    evil = with_record(file(b"../boot.py"))
    with database.begin() as session, pytest.raises(BundleError):
        intake.add(session, evil, "Li Wei", rig.NOW_US)
    monkeypatch.setitem(content._CHECKS, release.APPLICATION, lambda *_: None)
    with database.begin() as session:
        intake.add(session, evil, "Li Wei", rig.NOW_US)
    database.close()
