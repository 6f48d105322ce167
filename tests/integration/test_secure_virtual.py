"""`kapok secure` on virtual eFuses, by the real espefuse and espsecure: all three chips."""

import os
import signal
from pathlib import Path

import efuse_rig as rig
import pytest
from bench_rig import bench
from cli_rig import out, out_json, refusal, run

from fleet.flashing import efuse_tool, secure_apply
from fleet.flashing.efuse_tool import EfuseTool
from fleet.flashing.efuses import SecureError
from fleet.flashing.port_lock import locked
from fleet.flashing.ports import one
from fleet.flashing.secure_plan import check_revision, plan, standings
from fleet.flashing.secure_steps import State
from fleet.identity.secret import SecretBytes


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A public key, and a bootloader that is signed for it."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = rig.new_signing_key(folder)
    return public, rig.signed_bootloader(folder, private)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def words(tool: EfuseTool, public: Path) -> list[object]:
    return ["--board", rig.BOARDS[tool.chip], "--key", public, "--virtual", tool.virtual]


def fuses_of(tool: EfuseTool) -> bytes:
    assert tool.virtual is not None
    return tool.virtual.read_bytes()


def test_an_esp32_from_plan_to_verify(keys: tuple[Path, Path], tmp_path: Path) -> None:
    public, bootloader = keys
    tool = rig.new_chip(tmp_path, "esp32")
    which = words(tool, public)
    before = fuses_of(tool)
    planned = out_json(tmp_path, "secure", "plan", *which)
    assert {step["state"] for step in planned["steps"]} == {"to do"}
    for more, says in (
        (["--bootloader", public, "--confirm", rig.BLANK], "is not signed by"),
        (["--bootloader", bootloader, "--confirm", "1gntj14d2p"], "is not this board's id"),
    ):
        result = run(tmp_path, "secure", "apply", *which, *more)
        assert result.exit_code == 1
        assert says in result.stderr
    assert fuses_of(tool) == before
    apply = ("secure", "apply", *which, "--bootloader", bootloader, "--confirm", rig.BLANK)
    half = out_json(tmp_path, *apply)
    assert (half["id"], half["hardened"]) == (rig.BLANK, False)
    assert half["told"][-1].endswith("; then apply again")
    assert "not hardened" in run(tmp_path, "secure", "verify", *which).stderr
    rig.start_up(tool)
    assert "is hardened" in out(tmp_path, *apply)
    assert {s["state"] for s in out_json(tmp_path, "secure", "verify", *which)["steps"]} == {
        "done"
    }


def test_an_esp32s3_whose_hardening_is_killed(keys: tuple[Path, Path], tmp_path: Path) -> None:
    public, bootloader = keys
    tool = rig.new_chip(tmp_path, "esp32s3")
    command = ["apply", *words(tool, public), "--bootloader", bootloader, "--confirm", rig.BLANK]
    process = rig.kapok(*command)
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if line.startswith("digest0: burnt"):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)
    process.stdout.close()
    process.stderr.close()
    said = out(tmp_path, "secure", *command)
    assert "digest0: done before" in said
    assert "half hardened: start it" in said


def test_an_esp32c3_and_its_key_on_no_disk(
    keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = SecretBytes(bytes(range(100, 132)))
    made: list[bytes] = []

    def new_key() -> SecretBytes:
        made.append(canary)
        return canary

    monkeypatch.setattr(secure_apply, "new_key", new_key)
    heard: list[str] = []
    real = efuse_tool.run

    def spied(tool: str, words: list[str], descriptors: tuple[int, ...] = ()) -> str:
        said = real(tool, words, descriptors)
        heard.extend([*words, said])
        return said

    monkeypatch.setattr(efuse_tool, "run", spied)
    tool = rig.new_chip(tmp_path, "esp32c3")
    steps = plan("esp32c3", [rig.digest(keys[0])])
    log = secure_apply.Log(tmp_path / "log", rig.BLANK)
    assert not secure_apply.apply(tool, steps, log, heard.append)
    rig.start_up(tool)
    assert secure_apply.apply(tool, steps, log, heard.append)
    assert all(state is State.DONE for _, state in standings(steps, tool.read()))
    assert made == [canary]
    for path in (p for p in tmp_path.rglob("*") if p.is_file() and p != tool.virtual):
        assert bytes(canary) not in path.read_bytes()
    for text in heard:
        assert canary.hex() not in text.replace(" ", "").lower()


def test_attack_burnt_otherwise_is_refused_before_anything(
    keys: tuple[Path, Path], tmp_path: Path
) -> None:
    public, bootloader = keys
    tool = rig.new_chip(tmp_path, "esp32s3")
    tool.burn(["burn-key", "BLOCK_KEY0", efuse_tool.KEY, "SECURE_BOOT_DIGEST0"], bytes(range(32)))
    before = fuses_of(tool)
    said = refusal(tmp_path, "secure", "apply", *words(tool, public), "--bootloader", bootloader,
                   "--confirm", rig.BLANK)  # fmt: skip
    assert "step digest0: burnt otherwise; nothing was burnt now" in said
    assert fuses_of(tool) == before


def test_a_key_cut_short_is_finished_by_the_real_tool(tmp_path: Path) -> None:
    """The key is in its block, and the power went before its purpose and its protection."""
    tool = EfuseTool("esp32c3", virtual=tmp_path / "c3.bin")
    tool.burn(["burn-bit", "BLOCK_KEY3", *map(str, range(0, 256, 3))])
    steps = [step for step in plan("esp32c3", ["ab" * 32]) if step.name == "flash-key"]
    log = secure_apply.Log(tmp_path / "log", rig.BLANK)
    with pytest.raises(SecureError, match="somebody may have a copy"):
        secure_apply.apply(tool, steps, log, lambda _line: None)
    log.note("begin", "flash-key")
    assert secure_apply.apply(tool, steps, log, lambda _line: None)
    block = tool.read().of("BLOCK_KEY3")
    assert (block.readable, block.writeable) == (False, False)


def test_an_esp32_that_is_too_old(tmp_path: Path) -> None:
    old = EfuseTool("esp32", virtual=tmp_path / "old.bin")
    with pytest.raises(SecureError, match=r"needs v3\.0"):
        check_revision("esp32", old.read())


def test_a_board_of_the_bench_by_its_name_and_with_its_port_held(
    keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bench"
    monkeypatch.setenv("KAPOK_BENCH", str(folder))
    what = ("secure", "plan", "--board", "esp32s3-bc660k", "--key", keys[0], "--port", "virtual:1")
    with bench(folder, "--boards", 1) as stand:
        planned = out_json(tmp_path, *what)
        assert planned["id"] == stand.facts["boards"][0]["node_id"]
        assert {step["state"] for step in planned["steps"]} == {"to do"}
        with locked(one("virtual:1")):
            assert "another kapok works on this port" in refusal(tmp_path, *what)
    assert "no virtual bench runs" in refusal(tmp_path, *what)


def test_what_is_missing_is_said_in_a_line(keys: tuple[Path, Path], tmp_path: Path) -> None:
    plan_ = ("secure", "plan", "--key", keys[0])
    assert "known are devkit" in refusal(tmp_path, *plan_, "--board", "../x")
    for more, why in (
        (["--port", "/dev/none"], "no port is '/dev/none'"),
        (["--virtual", tmp_path / "none" / "x"], "espefuse: "),
    ):
        assert why in refusal(tmp_path, *plan_, "--board", "esp32-ec200", *more)
    refusal(tmp_path, *plan_, "--board", "esp32-ec200", "--port", "a", "--virtual", "b", code=2)
