"""Names that a slot borrows: they cost the VM nothing, and the slot means what it meant before."""

import ast
import builtins
import keyword
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.paths import firmware_dir
from fleet.releases import borrow, slots
from fleet.releases.shrink import shrink

TYPINGS = firmware_dir().parent / "typings"
MICROPYTHON = Path(sys.executable).with_name("micropython")
SLOT = {
    "node/one.py": (
        "class Thing:\n"
        "    def deliver(self, last=False):\n"
        "        self.outcome = 'spoken', last\n"
        "        return self.outcome\n"
        "def spoken():\n"
        "    return 1\n"
    ),
    "node/two.py": (
        "from node.one import Thing\n"
        "import node.one\n"
        "def use():\n"
        "    thing = Thing()\n"
        "    thing.deliver(last=True)\n"
        "    return thing.outcome, getattr(node.one, 'spoken')()\n"
    ),
}


def run(sources: dict[str, str], name: str) -> object:
    """What `use` of two.py gives, by whatever name it goes."""
    import types

    node = types.ModuleType("node")
    saved = {key: sys.modules.get(key) for key in ("node", "node.one", "node.two")}
    try:
        sys.modules["node"] = node
        for path in ("node/one.py", "node/two.py"):
            module = types.ModuleType(path[:-3].replace("/", "."))
            sys.modules[module.__name__] = module
            setattr(node, path[5:8], module)
            exec(sources[path], module.__dict__)  # noqa: S102
        return getattr(sys.modules["node.two"], name)()
    finally:
        for key, old in saved.items():
            sys.modules.pop(key, None)
            if old is not None:
                sys.modules[key] = old


def test_a_slot_means_the_same_under_other_names() -> None:
    small = borrow.borrow(SLOT, ())
    back = small.names
    assert run(small.sources, back["use"]) == run(SLOT, "use") == (("spoken", True), 1)
    assert "Thing" not in small.sources["node/two.py"]
    assert back.keys() & {"spoken", "last", "node", "one"} == set(), "somebody knows them"


def test_what_others_reach_for_stays() -> None:
    assert "def use" in borrow.borrow(SLOT, ("use",)).sources["node/two.py"]


def test_no_name_of_the_slot_is_lent_twice() -> None:
    small = shrink(slots.read_sources(firmware_dir())).sources
    before = {n for text in small.values() for n in borrow.identifiers(ast.parse(text))}
    given = borrow.borrow(small, slots.reached(firmware_dir())).names
    assert set(given.values()) <= set(borrow.lent())
    assert len(set(given.values())) == len(given) > 200
    assert not set(given.values()) & before, "it means something in the slot"


def test_a_lent_name_costs_the_vm_nothing() -> None:
    script = (
        "import micropython\n"
        "class X: pass\n"
        "x = X()\n"
        "micropython.qstr_info()\n"
        f"for name in {' '.join(borrow.lent())!r}.split(' '):\n"
        "    setattr(x, name, 1)\n"
        "micropython.qstr_info()\n"
    )
    ran = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=4m", "-c", script],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    before, after = ran.stdout.strip().splitlines()
    assert before.split(",")[1] == after.split(",")[1], "n_qstr grows"


@pytest.mark.skipif(not TYPINGS.is_dir(), reason="the stubs are not installed")
def test_the_vms_interfaces_are_those_of_its_stubs() -> None:
    known = {*dir(builtins), *keyword.kwlist}
    for path in TYPINGS.rglob("*.pyi"):
        known |= set(borrow.identifiers(ast.parse(path.read_text("utf-8"))))
    known = {name for name in known if name.isascii() and name.isidentifier()}
    missing = known - borrow.interfaces()
    assert not missing, f"add to fleet/releases/interfaces.txt: {sorted(missing)[:20]}"
