"""ROMFS images as the VM mounts them, and what the shims' image holds."""

import subprocess
import sys
from pathlib import Path

from fleet.releases import romfs
from hil.virtual import firmware

_READ = """
import os, sys, vfs
vfs.mount(vfs.VfsRom(bytes(open(sys.argv[1], "rb").read())), "/x")
for name in sorted(os.listdir("/x")):
    with open("/x/" + name, "rb") as file:
        data = file.read()
    print(name, len(data), sum(data))
"""

_WALK = """
import os, sys, vfs
vfs.mount(vfs.VfsRom(bytes(open(sys.argv[1], "rb").read())), "/x")
def walk(folder):
    for name, kind, *_ in os.ilistdir(folder):
        path = folder + "/" + name
        if kind == 0x4000:
            walk(path)
        else:
            with open(path, "rb") as file:
                print(path, file.read())
walk("/x")
"""


def _on_the_vm(image: bytes, folder: Path) -> list[str]:
    (folder / "image").write_bytes(image)
    (folder / "read.py").write_text(_READ)
    vm = Path(sys.executable).with_name("micropython")
    out = subprocess.run(
        [vm, folder / "read.py", folder / "image"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return out.stdout.splitlines()


def test_the_vm_reads_what_was_put_in(tmp_path: Path) -> None:
    files = {"empty": b"", "one": b"\x7f", "mid": bytes(range(128)), "big": b"\xa5" * 70_000}
    files["n" * 130 + ".mpy"] = b"long name"
    expected = [f"{name} {len(data)} {sum(data)}" for name, data in sorted(files.items())]
    assert _on_the_vm(romfs.image(files), tmp_path) == expected


def test_folders_hold_files_and_folders(tmp_path: Path) -> None:
    files = {"z": b"1", "node/app": b"22", "node/link/at": b"333", "node/link/tls": b"4444"}
    (tmp_path / "image").write_bytes(romfs.image(files))
    (tmp_path / "walk.py").write_text(_WALK)
    vm = Path(sys.executable).with_name("micropython")
    command = [vm, tmp_path / "walk.py", tmp_path / "image"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert out.stdout.splitlines() == [f"/x/{name} {data!r}" for name, data in files.items()]


def test_the_shims_have_the_operations_by_value(tmp_path: Path) -> None:
    image = firmware.shims()
    names = [line.split()[0] for line in _on_the_vm(image, tmp_path)]
    assert {"machine.mpy", "esp32.mpy", "_link.mpy", "run.mpy"} <= set(names)
    assert "_ops.mpy" not in names
    assert b"_ops" not in image
