"""What is built from the sources is built once, and never taken for that of other sources."""

from pathlib import Path

import pytest

from fleet.flashing import built
from fleet.releases import slots
from fleet.releases.target import Target

SOURCES = {
    "boot.py": "1\n", "main.py": "2\n", "trial.py": "5\n", "node/__init__.py": "",
    "node/main.py": "", "rescue/main.py": "3\n",
}  # fmt: skip
METER = Target("gas-meter", "esp32s3-bc660k")


def _firmware(folder: Path) -> Path:
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "node" / "link" / "modems").mkdir(parents=True, exist_ok=True)
    (folder / "node" / "link" / "modems" / "bc660k.py").write_text("")
    return folder


def test_once_for_the_same_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    firmware = _firmware(tmp_path / "firmware")
    first = built.build(firmware, METER)
    assert set(first.files) == {"/boot.py", "/main.py", "/trial.py", "/a.romfs"}
    with monkeypatch.context() as patched:
        patched.setattr(slots, "compiled", None)
        assert built.build(firmware, METER) == first

    (firmware / "boot.py").write_text("4\n")
    assert built.build(firmware, METER).files["/boot.py"] == b"4\n"

    for cached in (tmp_path / "cache" / "kapok").rglob("*.kept"):
        cached.write_bytes(cached.read_bytes()[:-1])  # damaged: built again
    assert built.build(firmware, METER).files["/a.romfs"] == first.files["/a.romfs"]


def test_each_role_and_board_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    firmware = _firmware(tmp_path / "firmware")
    meter = built.build(firmware, METER).files["/a.romfs"]
    point = built.build(firmware, Target("drainage", "esp32s3-bc660k")).files["/a.romfs"]
    assert meter != point
    assert built.build(firmware, METER).files["/a.romfs"] == meter
