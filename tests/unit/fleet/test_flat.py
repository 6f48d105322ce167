"""A slot without packages means what it meant before, and its names are the same each time."""

import ast
import binascii
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.paths import firmware_dir
from fleet.registry import modules
from fleet.releases import borrow, flat, rescue, romfs, slots, target
from fleet.releases.target import Target

DATA = {"digest", "release"}
SLOT = {
    "node/__init__.py": '"""Nothing of its own."""\n',
    "node/main.py": (
        "from node import one\n"
        "from node.part import two\n"
        "def use():\n"
        "    name = 'node.part.three'\n"
        "    three = __import__(name, None, None, ('VALUE',))\n"
        "    return one.VALUE, two.twice(), three.VALUE, 'node.part'\n"
    ),
    "node/one.py": "VALUE = 1\n",
    "node/part/__init__.py": '"""Nor this."""\n',
    "node/part/two.py": "from node.one import VALUE\ndef twice():\n    return 2 * VALUE\n",
    "node/part/three.py": "VALUE = 3\n",
}


def flattened(outside: set[str]) -> flat.Flat:
    plain = {path: text for path, text in SLOT.items() if "__init__" not in path}
    return flat.flatten(plain, flat.names(SLOT), outside)


def test_it_means_what_it_meant(tmp_path: Path) -> None:
    found = flattened({"node.main", "node.one"})
    for path, text in found.sources.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from node.main import use\n"
        "from node.one import VALUE\n"
        "print(use()[:3], VALUE, len(use()[3].split(' ')))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "(1, 2, 3) 1 2"


def test_who_is_imported_by_others_alone_stays_and_the_rest_is_handed_on() -> None:
    found = flattened({"node.main", "node.one"})
    places = {name: new for new, name in found.names.items()}
    assert "node/main.py" in found.sources
    assert found.sources["node/one.py"] == f"from {places['node.one']} import *\n"
    assert "node/part/two.py" not in found.sources
    assert "node.main" not in places


def test_a_module_that_forgets_itself_stays_all_the_same() -> None:
    plain = {"node/one.py": "def go():\n    forget('node.one')\n"}
    found = flat.flatten(plain, flat.names(plain), {"node.one"})
    assert list(found.sources) == ["node/one.py"]
    assert "'node.one'" in found.sources["node/one.py"]


@pytest.mark.parametrize(
    "text", ["import node.one\n", "from node.part import two, VALUE\n"], ids=["plain", "mixed"]
)
def test_an_import_without_a_flat_form_is_refused(text: str) -> None:
    plain = {path: body for path, body in SLOT.items() if "__init__" not in path}
    plain["node/part/__init__.py"] = "VALUE = 1\n"
    plain["node/main.py"] = text
    with pytest.raises(flat.FlatError, match=r"node/main\.py:1"):
        flat.flatten(plain, flat.names(plain), set())


def test_the_firmware_s_modules_all_have_names_of_the_vm() -> None:
    sources = slots.read_sources(firmware_dir())
    names = flat.names(sources)
    whole = [path for path, text in sources.items() if ast.parse(text).body[1:]]
    assert set(whole) <= set(names)
    assert len(set(names.values())) == len(names)
    assert set(names.values()) <= set(borrow.lent())


def test_one_module_more_leaves_nearly_all_others_their_names() -> None:
    sources = slots.read_sources(firmware_dir())
    before = flat.names(sources)
    for path in ("node/aaa.py", "node/link/zzz.py"):
        after = flat.names({**sources, path: "VALUE = 1\n"})
        moved = [one for one, name in before.items() if after[one] != name]
        assert len(moved) <= 8, moved


def test_a_module_is_called_the_same_in_every_image() -> None:
    out = slots.cache_dir() / "node"
    meter, lamp = (
        target.image(firmware_dir(), out, Target(role)) for role in ("gas-meter", "lamppost")
    )
    in_meter, in_lamp, in_rescue = (
        {
            modules.name(binascii.crc32(name.removesuffix(".mpy").encode()))
            for name in romfs.read(image)
            if "/" not in name and name not in DATA
        }
        for image in (meter, lamp, rescue.build(firmware_dir(), out)[rescue.FILE])
    )
    assert {"node.clock", "node.link.at"} <= in_meter & in_lamp & in_rescue
    assert in_meter - in_lamp >= {"node.roles.gas_meter"}
    assert in_lamp - in_meter >= {"node.roles.lamppost"}
    assert all(name.startswith("node.") for name in in_meter | in_lamp | in_rescue)


def test_what_an_image_lacks_is_imported_by_its_name_and_not_forgotten() -> None:
    plain = {
        "node/one.py": (
            "from node.part.three import VALUE\n"
            "def go():\n"
            "    forget('node.part.two node.part.three')\n"
            "    return __import__('node.part.two')\n"
        ),
        "node/part/three.py": SLOT["node/part/three.py"],
    }
    places = flat.names(SLOT)
    text = flat.flatten(plain, places, {"node.one"}).sources["node/one.py"]
    two, three = places["node/part/two.py"], places["node/part/three.py"]
    assert f"from {three} import VALUE" in text
    assert f"forget('{three}')" in text
    assert f"__import__('{two}')" in text


def test_a_crash_record_s_module_is_found_by_its_flat_name() -> None:
    name = flat.names(slots.read_sources(firmware_dir()))["node/link/at.py"]
    assert modules.name(binascii.crc32(name.encode())) == "node.link.at"
