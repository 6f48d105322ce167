"""What `kapok release` refuses, so that no key, signature or build is lost or wrong unsaid."""

import shutil
from pathlib import Path

import pytest
from cli_rig import out, out_json, refusal
from release_rig import EXPIRY, METER, keys, of, small_image

from fleet.identity.files import FileThereError, write_new
from fleet.paths import firmware_dir
from fleet.releases import bundle, signers
from fleet.releases.errors import BundleError
from fleet.wire import release

_MAIN = "from node import schema\nfrom node.store import journal\nfrom node.wire import release\n"
HUGE = "9" * 26


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release key and one of the roots, and the trust in both."""
    folder = tmp_path_factory.mktemp("offline")
    for name in ("release", "root"):
        signers.generate(folder / f"{name}.pem", None)
    out(folder, "release", "keys", "trust", "--root", folder / "root.pem.pub", "--threshold", 1,
        "--key", folder / "release.pem.pub", "--out", folder / "trust")  # fmt: skip
    return folder


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    path = tmp_path / "7.kapok"
    bundle.write(path, of({release.APPLICATION: small_image(7)}, 7))
    return path


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """As much of it as makes an image quickly."""
    folder = tmp_path / "firmware"
    for part in ("wire", "store", "schema"):
        shutil.copytree(firmware_dir() / "node" / part, folder / "node" / part)
    for path in firmware_dir().glob("*.py"):
        shutil.copy(path, folder)
    (folder / "node" / "main.py").write_text(_MAIN)
    return folder


def build(*more: object) -> tuple[object, ...]:
    return ("release", "build", "--sequence", 9, "--expires", "2038-01-01", *more)


def test_a_release_is_compiled_from_its_sources_and_no_cache(
    tmp_path: Path, firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that was tampered with would be signed unseen."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = build("--role", "gateway", "--firmware", firmware)
    out(tmp_path, *words, "--out", tmp_path / "b")
    assert not (tmp_path / "cache").exists()
    first = (tmp_path / "b").read_bytes()
    out(tmp_path, *words, "--out", tmp_path / "b")  # the same again overwrites nothing
    assert (tmp_path / "b").read_bytes() == first


def test_a_source_that_is_no_utf8(tmp_path: Path, firmware: Path) -> None:
    for name in ("node/main.py", "boot.py"):
        kept = (firmware / name).read_bytes()
        (firmware / name).write_bytes(b"# \xff\n")
        said = refusal(tmp_path, *build("--firmware", firmware, "--out", tmp_path / "b"))
        assert f"{name}: is no UTF-8" in said
        (firmware / name).write_bytes(kept)


def test_nothing_that_is_there_is_overwritten(
    tmp_path: Path, offline: Path, unsigned: Path
) -> None:
    private = (offline / "release.pem").read_bytes()
    public = ("release", "keys", "public", "--key", offline / "release.pem", "--out")
    assert "nothing is overwritten" in refusal(tmp_path, *public, offline / "release.pem")
    trust = ("release", "keys", "trust", "--root", offline / "root.pem.pub", "--threshold", 1,
             "--key", offline / "release.pem.pub", "--out")  # fmt: skip
    assert "nothing is overwritten" in refusal(tmp_path, *trust, offline / "release.pem")
    assert (offline / "release.pem").read_bytes() == private
    out(tmp_path, *public, offline / "release.pem.pub")  # the same bytes
    signed = unsigned.read_bytes()
    (tmp_path / "trust").write_bytes(keys().trust)
    words = build("--no-application", "--trust", tmp_path / "trust", "--out", unsigned)
    assert "nothing is overwritten" in refusal(tmp_path, *words)
    assert unsigned.read_bytes() == signed


def test_a_new_file_is_new(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_new(path, b"1", 0o600)
    write_new(path, b"1", 0o600)
    with pytest.raises(FileThereError):
        write_new(path, b"2", 0o600)
    assert path.read_bytes() == b"1"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--needs", "modem=1"), "COMPONENT=LEAST"),
        (("--needs", "pack=1"), "COMPONENT=LEAST"),
        (("--needs", "runtime=5"), "a version, as 1.29.0"),
        (("--needs", f"runtime=1.{HUGE}.0"), "a version, as 1.29.0"),
        (("--needs", f"application={HUGE}"), "range"),
        (("--needs", "keys=0"), "range"),
        (("--runtimes", "1.27.0..1.26.0"), "the least goes first"),
        (("--expires", "2020-01-01"), "no node would install it"),
    ],
)
def test_a_release_that_no_node_would_take_is_not_built(
    tmp_path: Path, words: tuple[str, str], why: str
) -> None:
    said = refusal(tmp_path, *build("--out", tmp_path / "b"), *words, code=2)
    assert why in said


def test_what_it_needs_is_said_as_people_write_it(tmp_path: Path) -> None:
    (tmp_path / "trust").write_bytes(keys().trust)
    needs = ("--needs", "runtime=1.29.0", "--needs", "application=5", "--needs", "keys=2")
    words = build("--no-application", "--trust", tmp_path / "trust", "--out", tmp_path / "b")
    told = out_json(tmp_path, *words, *needs)
    assert told["needs"] == ["application=5", "runtime=1.29.0", "keys=2"]
    says = bundle.read(tmp_path / "b").says
    assert says.needs == [(0, 5), (1, 1 << 16 | 29 << 8), (4, 2)]


@pytest.mark.parametrize("command", [("inspect",), ("sbom",), ("promote",)])
def test_a_number_that_no_release_has(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "range" in refusal(tmp_path, "release", *command, HUGE, code=2)


@pytest.mark.parametrize("command", ["list", "build"])
def test_deltas_to_a_number_that_no_release_has(tmp_path: Path, command: str) -> None:
    assert "range" in refusal(tmp_path, "release", "delta", command, "--to", HUGE, code=2)


def test_deltas_to_a_release_that_there_is_not(tmp_path: Path) -> None:
    out(tmp_path / "data", "init")
    assert "no release 77" in refusal(tmp_path / "data", "release", "delta", "build", "--to", 77)


def test_a_key_signs_as_what_it_is_trusted(tmp_path: Path, offline: Path, unsigned: Path) -> None:
    before = unsigned.read_bytes()
    word = ("release", "sign", unsigned, "--trust", offline / "trust", "--key")
    assert "has no release key" in refusal(tmp_path, *word, offline / "root.pem")
    said = refusal(tmp_path, *word, offline / "release.pem", "--as", "root")
    assert "has no root key" in said
    assert unsigned.read_bytes() == before
    out(tmp_path, *word, offline / "release.pem")
    told = out_json(tmp_path, *word, offline / "root.pem", "--as", "root")
    assert [one["as"] for one in told["signatures"]].count("root") == 1


def test_a_signature_is_taken_out_again(tmp_path: Path, offline: Path, unsigned: Path) -> None:
    before = unsigned.read_bytes()
    (made,) = out_json(tmp_path, "release", "sign", unsigned, "--key", offline / "root.pem")[
        "signatures"
    ]
    assert out_json(tmp_path, "release", "unsign", unsigned, made["key"])["signatures"] == []
    assert unsigned.read_bytes() == before
    assert "no signature of" in refusal(tmp_path, "release", "unsign", unsigned, made["key"])


def test_an_expired_bundle_is_not_good(tmp_path: Path, offline: Path) -> None:
    path = tmp_path / "7.kapok"
    made = of({release.APPLICATION: small_image(7)}, 7, METER, expiry=EXPIRY - 4000 * 86400)
    bundle.write(path, made)
    out(tmp_path, "release", "sign", path, "--key", offline / "release.pem")
    said = refusal(tmp_path, "release", "verify", path, "--trust", offline / "trust")
    assert "no node would install it" in said


def test_a_bundle_that_nobody_would_read_is_not_written(
    tmp_path: Path, unsigned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle.read(unsigned)
    monkeypatch.setattr(bundle, "LARGEST", 100)
    assert refusal(tmp_path, "release", "inspect", unsigned).count("7.kapok") == 1
    with pytest.raises(BundleError, match="nobody reads one over 100"):
        bundle.write(tmp_path / "b", made)
    assert not (tmp_path / "b").exists()
