"""Places are held against all on a machine: other users, and other files of the same ports."""

import os
import stat
from pathlib import Path

import pytest

from fleet.flashing.ports import Port
from hil.faults import RigFault
from hil.inventory import Rig, load
from hil.locks import FileLocks, identities

PLACE = """
  {name}:
    resources:
      NodePort: {{board: devkit, nodes: [devkit], {node}}}
      ModemTwinLine: {{port: "/dev/serial/by-id/{twin}", family: bc660k}}
    drivers: {{}}
"""


@pytest.fixture(autouse=True)
def _nothing_plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.flashing.ports.usb_ports", list)


def rig(path: Path, *places: tuple[str, str, str]) -> Rig:
    made = [PLACE.format(name=name, node=node, twin=twin) for name, node, twin in places]
    path.write_text("imports: [hil.strategy]\ntargets:" + "".join(made))
    return load(path)


def test_a_place_is_held_by_one_and_its_holder_is_named(tmp_path: Path) -> None:
    mine = rig(tmp_path / "a.yaml", ("meter-1", "serial: A", "f1"), ("meter-2", "serial: B", "f2"))
    one, other = FileLocks(mine, tmp_path / "locks"), FileLocks(mine, tmp_path / "locks")
    held = one.hold("meter-1")
    free = other.hold("meter-2")
    with pytest.raises(RigFault, match=f"meter-1: process {os.getpid()} holds this place"):
        other.hold("meter-1", wait_s=0)
    one.let_go(held)
    other.let_go(other.hold("meter-1", wait_s=0))
    other.let_go(free)


def test_another_file_with_another_name_for_it_waits_too(tmp_path: Path) -> None:
    ours = rig(tmp_path / "a.yaml", ("meter-1", "serial: A", "f1"))
    theirs = rig(
        tmp_path / "b.yaml", ("gas", "serial: C", "f1"), ("x", "serial: A", "f9"),
        ("free", "serial: D", "f8"),
    )  # fmt: skip
    one, other = FileLocks(ours, tmp_path / "locks"), FileLocks(theirs, tmp_path / "locks")
    held = one.hold("meter-1")
    for name in ("gas", "x"):
        with pytest.raises(RigFault, match=f"{name}: process .* holds this place"):
            other.hold(name, wait_s=0)
    other.let_go(other.hold("free", wait_s=0))
    one.let_go(held)
    for name in ("gas", "x"):  # what could not be held whole is not kept in part
        other.let_go(other.hold(name, wait_s=0))


def test_a_port_is_the_same_by_its_serial_number_and_by_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugged = [Port("usb:1-3:1.0", "/dev/ttyUSB7", "usb:1", "A")]
    monkeypatch.setattr("fleet.flashing.ports.usb_ports", lambda: plugged)
    ours = rig(tmp_path / "a.yaml", ("meter-1", "serial: A", "f1"))
    theirs = rig(tmp_path / "b.yaml", ("gas", 'port: "/dev/ttyUSB7"', "f2"))
    both = set(identities(ours, "meter-1")) & set(identities(theirs, "gas"))
    assert both == {"usb:1-3:1.0"}


def test_another_user_may_lock_what_this_one_has_locked_before(tmp_path: Path) -> None:
    mine = rig(tmp_path / "a.yaml", ("meter-1", "serial: A", "f1"))
    before = os.umask(0o077)
    try:
        locks = FileLocks(mine, tmp_path / "locks")
        locks.let_go(locks.hold("meter-1"))
    finally:
        os.umask(before)
    folder = tmp_path / "locks"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o666}


def test_a_link_in_the_folder_of_all_is_not_followed(tmp_path: Path) -> None:
    """Attack: another user of the machine has the lock's file lead to one of ours."""
    mine = rig(tmp_path / "a.yaml", ("meter-1", "serial: A", "f1"))
    (tmp_path / "precious").write_text("key")
    folder = tmp_path / "locks"
    locks = FileLocks(mine, folder)
    (folder / "A.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(RigFault, match=r"A\.lock: cannot open this lock"):
        locks.hold("meter-1", wait_s=0)
    assert (tmp_path / "precious").read_text() == "key"
