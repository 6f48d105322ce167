"""`kapok release` at its work: from keys to a release that rollouts may offer."""

import json
from pathlib import Path

import pytest
from cli_rig import initialised, out, out_json, refusal, run
from release_rig import METER, of, small, small_image

from fleet.releases import bundle
from fleet.wire import release

COMMANDS = [
    ("build",), ("sign",), ("verify",), ("inspect",), ("sbom",), ("add",), ("promote",),
    ("revoke",), ("list",), ("keys", "new"), ("keys", "public"), ("keys", "trust"),
    ("keys", "install"), ("keys", "show"), ("delta", "list"), ("delta", "build"), ("unsign",),
]  # fmt: skip


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the persons with the keys."""
    folder = tmp_path_factory.mktemp("offline")
    for name in ("release", "r1", "r2", "r3"):
        out(folder, "release", "keys", "new", "--out", folder / f"{name}.pem")
    roots = [word for n in (1, 2, 3) for word in ("--root", folder / f"r{n}.pem.pub")]
    out(folder, "release", "keys", "trust", *roots, "--key", folder / "release.pem.pub",
        "--out", folder / "trust")  # fmt: skip
    return folder


@pytest.fixture
def data(tmp_path: Path, offline: Path) -> Path:
    """A fleet that trusts them."""
    folder = initialised(tmp_path / "data")
    out(folder, "release", "keys", "install", offline / "trust")
    return folder


def unsigned(path: Path, sequence: int) -> Path:
    image = small_image(sequence, app=bytes(999))
    bundle.write(path, of({release.APPLICATION: image}, sequence))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "Example:" in out(tmp_path, "release", *command, "--help")


def test_from_a_build_to_a_revocation(data: Path, offline: Path, tmp_path: Path) -> None:
    made = tmp_path / "12.kapok"
    told = out_json(
        data, "release", "build", "--role", METER.role, "--board", METER.board, "--sequence", 12,
        "--expires", "2028-01-01", "--out", made,
    )  # fmt: skip
    assert (told["sequence"], told["expires"]) == (12, "2028-01-01T00:00:00Z")
    assert "no release key that nodes trust" in refusal(data, "release", "verify", made)
    assert "no release key that nodes trust" in refusal(data, "release", "promote", made)
    out(data, "release", "sign", made, "--key", offline / "release.pem")
    found = out_json(data, "release", "verify", made)
    assert (found["digest"], found["keys"], found["roots"]) == (told["digest"], 1, 0)
    alone = out_json(tmp_path, "release", "verify", made, "--trust", offline / "trust")
    assert alone == found
    assert out_json(data, "release", "promote", made)["state"] == "promoted"
    shown = out_json(data, "release", "inspect", 12)
    assert shown == out_json(data, "release", "inspect", made)
    assert out(data, "release", "sbom", 12) == out(data, "release", "sbom", made)
    assert json.loads(out(data, "release", "sbom", 12))["bomFormat"] == "CycloneDX"

    out(data, "release", "revoke", 12, "--reason", "sensors fall silent", "--by", "Wang Fang")
    (row,) = out_json(data, "release", "list")
    assert (row["state"], row["reason"], row["by"]) == (
        "revoked", "sensors fall silent", "Wang Fang",
    )  # fmt: skip
    assert "was revoked" in refusal(data, "release", "promote", 12)


def test_deltas_are_made_here_and_now(data: Path, offline: Path, tmp_path: Path) -> None:
    for sequence in (7, 8):
        made = unsigned(tmp_path / "b", sequence)
        out(data, "release", "sign", made, "--key", offline / "release.pem")
        out(data, "release", "promote", made)
    (row,) = out_json(data, "release", "delta", "list")
    assert (row["from"], row["to"], row["state"]) == (7, 8, "preparing")
    assert out_json(data, "release", "delta", "build") == {"made": 1}
    (row,) = out_json(data, "release", "delta", "list", "--to", 8)
    assert row["state"] == "ready"
    assert 0 < row["bytes"] < 200
    assert out_json(data, "release", "delta", "build", "--to", 8) == {"made": 0}


def test_keys_change_by_two_of_three(data: Path, offline: Path, tmp_path: Path) -> None:
    out(data, "release", "keys", "new", "--out", tmp_path / "new.pem")
    roots = [word for n in (1, 2, 3) for word in ("--root", offline / f"r{n}.pem.pub")]
    out(data, "release", "keys", "trust", *roots, "--key", tmp_path / "new.pem.pub",
        "--sequence", 2, "--out", tmp_path / "trust2")  # fmt: skip
    assert "already" in refusal(data, "release", "keys", "install", tmp_path / "trust2")
    made = tmp_path / "20.kapok"
    out(data, "release", "build", "--sequence", 20, "--expires", "2028-01-01", "--no-application",
        "--trust", tmp_path / "trust2", "--out", made)  # fmt: skip
    out(data, "release", "sign", made, "--key", offline / "r1.pem", "--as", "root")
    assert "2 root keys must sign it, 1 did" in refusal(data, "release", "promote", made)
    out(data, "release", "sign", made, "--key", offline / "r3.pem", "--as", "root")
    out(data, "release", "promote", made)
    assert out_json(data, "release", "keys", "show")["sequence"] == 2


def test_what_does_not_go_together_is_not_signed(
    data: Path, offline: Path, tmp_path: Path
) -> None:
    bad = of({release.APPLICATION: small_image(8)}, 7)
    bundle.write(tmp_path / "b", bad)
    text = refusal(data, "release", "sign", tmp_path / "b", "--key", offline / "release.pem")
    assert "of another release, role or board" in text
    assert bundle.read(tmp_path / "b") == bad


def test_wrong_usage_and_wrong_files(data: Path, offline: Path, tmp_path: Path) -> None:
    made = unsigned(tmp_path / "b", 7)
    word = ("release", "sign", made)
    assert "--key FILE, or --module" in refusal(data, *word, code=2)
    both = ("--key", offline / "release.pem", "--token", "t")
    assert "not both" in refusal(data, *word, *both, code=2)
    build = ("release", "build", "--sequence", 7, "--expires", "2028-01-01", "--out", made)
    assert "go together" in refusal(data, *build, "--modem-version", "x", code=2)
    assert "COMPONENT=LEAST" in refusal(data, *build, "--needs", "kettle=1", code=2)
    assert "as 1.27.0.." in refusal(data, *build, "--runtimes", "1.27", code=2)
    assert "no role 'kettle'" in refusal(data, *build, "--role", "kettle")
    assert run(data, "release", "build", "--sequence", 0).exit_code == 2
    (tmp_path / "none").write_bytes(b"none")
    assert "no bundle" in refusal(data, "release", "inspect", tmp_path / "none")
    assert "cannot be read" in refusal(data, "release", "inspect", tmp_path / "absent")
    assert "no release 99" in refusal(data, "release", "inspect", 99)
    assert "no trust" in refusal(data, "release", "verify", made, "--trust", tmp_path / "none")


def test_a_fleet_without_keys_says_so(tmp_path: Path) -> None:
    initialised(tmp_path / "d")
    bundle.write(tmp_path / "b", small(7))
    assert "kapok release keys install" in refusal(tmp_path / "d", "release", "promote",
                                                   tmp_path / "b")  # fmt: skip
