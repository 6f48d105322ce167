"""ROMFS images as the VM mounts them, and what the shims' image holds."""

import subprocess
import sys
from pathlib import Path

from hil.virtual import firmware, romfs

_READ = """
import os, sys, vfs
vfs.mount(vfs.VfsRom(bytes(open(sys.argv[1], "rb").read())), "/x")
for name in sorted(os.listdir("/x")):
    with open("/x/" + name, "rb") as file:
        data = file.read()
    print(name, len(data), sum(data))
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


def test_the_shims_have_the_operations_by_value(tmp_path: Path) -> None:
    image = firmware.shims()
    names = [line.split()[0] for line in _on_the_vm(image, tmp_path)]
    assert {"machine.mpy", "esp32.mpy", "_link.mpy", "run.mpy"} <= set(names)
    assert "_ops.mpy" not in names
    assert b"_ops" not in image
