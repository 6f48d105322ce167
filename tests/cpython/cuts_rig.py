"""The world of tests/vm/cuts.py: images, signed releases and streams in a folder; and its runs."""

import hashlib
import hmac
import importlib.util
import json
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from fleet.flashing import espimage
from fleet.flashing.espimage import Description, Segment
from fleet.flashing.filesystem import littlefs_image
from fleet.paths import firmware_dir
from fleet.releases import rescue, slots, target
from fleet.wire import cbor, release, trust
from fleet.wire.release import Assignment, Component, Manifest
from fleet.wire.trust import Trust

ROOT = Path(__file__).parents[2]
NODE = "1gntj14d2p"
TIME = 1_780_300_800
NUMBER = 7
KEY = bytes(range(32))
# Blocks of 4,096 bytes. The runtime's partitions are small, the others as in hw/partitions.
LAYOUTS: dict[str, dict[str, Any]] = {
    "4MiB": {"vfs": 148, "romfs": 56, "rescue": 36},
    "8MiB": {"vfs": 672, "romfs": 64, "rescue": 48},
    "odd": {"vfs": 61, "romfs": 7, "rescue": 13},
}
SCENES = (
    "full", "delta", "confirm", "revert", "unimportable", "lost", "misread", "unbooted",
    "damaged", "runtime", "runtime_back",
)  # fmt: skip
MEMORY = 12 * 4096 * 850  # the flash and copies of it: see cuts_chip.py
_MAIN = "import world\nPAD = %r\ndef run():\n    world.run(%r)\n"
# The VM lives in a Python extension; what plays the flash is outside its heap.
_START = """
import ctypes, sys
site, size, heap, script, *more = sys.argv[1:]
sys.path.insert(0, site)
from micropython_run import run_main
memory = ctypes.create_string_buffer(int(size))
where = [str(ctypes.addressof(memory)), size]
sys.exit(run_main(["micropython", "-X", "heapsize=" + heap, script, *where, *more]))
"""


def _image(folder: Path, name: str, sequence: int, main: str) -> bytes:
    node = folder / name / "node"
    node.mkdir(parents=True)
    for file, text in (("__init__.py", ""), ("main.py", main), ("selftest.py", "def run(): 0\n")):
        (node / file).write_text(text)
    files = slots.compile_tree(
        folder / name, [f"node/{one.name}" for one in node.iterdir()], folder / "built"
    )
    made = {path.relative_to(files).as_posix(): path.read_bytes() for path in files.rglob("*.mpy")}
    return slots.slot_image({**made, "release": cbor.encode([sequence, "", ""])})


def _noise(seed: str, size: int) -> str:
    out = b""
    while len(out) < size:
        out += hashlib.sha256(f"{seed} {len(out)}".encode()).digest()
    return out[:size].hex()[:size]


def _runtime(version: str) -> bytes:
    about = espimage.description(Description("kapok-runtime", version, "v5.5.1"))
    noise = _noise(version, 9_000).encode()
    return espimage.build(9, 0x40374000, [Segment(0x3C000020, about + noise)])


def _number(value: int) -> bytes:
    out = [value & 63]
    value >>= 6
    while value:
        out[-1] |= 128
        out.append(value & 127)
        value >>= 7
    return bytes(out)


def _patch(old: bytes, new: bytes) -> bytes:
    """A patch in detools' sequential format: one difference, one insertion."""
    common = min(len(old), len(new))
    diff = bytes((b - a) & 255 for a, b in zip(old, new, strict=False))
    body = b"\0" + _number(len(new)) + _number(0)
    body += _number(common) + diff + _number(len(new) - common) + new[common:] + _number(0)
    return body


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, release.WBITS)
    return packer.compress(data) + packer.flush()


class Releases:
    """Signs what the node takes, as the fleet and the release key would."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 3072)
        self.modulus = self._key.public_key().public_numbers().n.to_bytes(384, "big")

    def trusted(self) -> bytes:
        return trust.encode(Trust(1, 1, [bytes(32)], [self.modulus]))

    def stream(
        self, component: Component, form: int, data: bytes, base: bytes, sequence: int = 2
    ) -> tuple[bytes, bytes]:
        """(stream, payload of the item)."""
        manifest = release.encode(
            Manifest(
                sequence, bytes(16), bytes(16), "", "", (0, 0xFFFF), (0, 0xFFFFFF), [component],
                [], 0,
            )
        )  # fmt: skip
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        signature = self._key.sign(release.signed(manifest), pss, hashes.SHA256())
        kid = hashlib.sha256(self.modulus).digest()[:8]
        envelope = release.seal(manifest, [(kid, signature, b"")])
        stream = envelope + data
        given = Assignment(
            sequence, hashlib.sha256(manifest).digest()[:16], TIME + 86_400, len(stream),
            [(component.kind, form, len(data), base)], b"",
        )  # fmt: skip
        mac = hmac.digest(KEY, release.bound(NODE, NUMBER, given), "sha256")[:16]
        return stream, release.assign(given._replace(mac=mac))


def build(folder: Path) -> Path:
    """The world in `folder`, for all scenes and layouts."""
    world = folder / "world"
    world.mkdir(parents=True)
    images = {
        name: _image(folder, name, sequence, _MAIN % (_noise(seed, 150) * 34, version))
        for name, sequence, version, seed in (
            ("old", 1, "old", "one"), ("new", 2, "new", "two"), ("bad", 2, "new", "bad"),
            ("rescue", 0, "rescue", "rescue"),
        )
    }  # fmt: skip
    images["broken"] = _image(folder, "broken", 2, "import nothing_like_it\n")
    files: dict[str, bytes] = {f"{name}.romfs": data for name, data in images.items()}
    supervisor = {f"/{name}": rescue.minified(firmware_dir() / name) for name in slots.SUPERVISOR}
    for name in slots.SUPERVISOR:
        files[name] = supervisor[f"/{name}"]
    files["_boot.py"] = (firmware_dir() / "runtime" / "_boot.py").read_bytes()
    for name, layout in LAYOUTS.items():
        files[f"rescue.img.{name}"] = littlefs_image(
            layout["rescue"] * 4096, {"/rescue.romfs": images["rescue"], **supervisor}
        )
    for number in (1, 2, 3):
        files[f"runtime{number}"] = _runtime(f"1.28.{number}")
    releases = Releases()
    application = {
        name: Component(
            release.APPLICATION, len(images[name]), hashlib.sha256(images[name]).digest(), 0
        )
        for name in ("new", "bad", "broken")
    }
    base = target.image_digest(images["old"])[:8]
    given = {
        "full": (application["new"], release.DEFLATED, _deflated(images["new"]), b""),
        "bad": (application["bad"], release.PLAIN, images["bad"], b""),
        "broken": (application["broken"], release.DEFLATED, _deflated(images["broken"]), b""),
        "delta": (
            application["new"], release.DELTA, _deflated(_patch(images["old"], images["new"])),
            base,
        ),
    }  # fmt: skip
    for name, number in (("runtime", 2), ("runtime_bad", 3)):
        data = files[f"runtime{number}"]
        component = Component(release.RUNTIME, len(data), hashlib.sha256(data).digest(), 0x011D00)
        given[name] = (component, release.PLAIN, data, b"")
    for name, (component, form, data, whence) in given.items():
        files[f"{name}.stream"], files[f"{name}.payload"] = releases.stream(
            component, form, data, whence
        )
    files["hmac"] = KEY
    files["trust"] = releases.trusted()
    for name, data in files.items():
        (world / name).write_bytes(data)
    facts = {
        "files": sorted(files),
        "time": TIME,
        "node": NODE,
        "config": {"role": "gas-meter", "board": "", "node": NODE},
    }
    (world / "world.json").write_text(json.dumps(facts))
    return world


def run(
    world: Path,
    scene: str,
    layout: str,
    *,
    first: int = 0,
    step: int = 1,
    count: int = 0,
    cuts: "str | Sequence[Sequence[tuple[int, str]]] | None" = None,
    seed: int = 0,
    sabotage: str = "",
    readsize: int = 128,
) -> dict[str, Any]:
    """{operations, cuts, bad} of one run. `cuts` None: at each operation in each mode, every
    `step`th from `first` on, `count` at most (0: all); "random": `count` times five in a row."""
    spec = importlib.util.find_spec("micropython_run")
    assert spec is not None
    assert spec.origin is not None
    plan = {
        "scene": scene,
        "layout": {"otadata": 2, "ota_0": 4, "ota_1": 4, "name": layout, **LAYOUTS[layout]},
        "cuts": cuts, "first": first, "step": step, "count": count, "seed": seed,
        "sabotage": sabotage, "readsize": readsize,
    }  # fmt: skip
    script = ROOT / "tests" / "vm" / "cuts.py"
    command = [sys.executable, "-I", "-S", "-c", _START, str(Path(spec.origin).parent)]
    command += [str(MEMORY), "2m", str(script), str(ROOT), str(world), json.dumps(plan)]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    lines = ran.stdout.strip().splitlines()
    if ran.returncode or not lines:
        raise AssertionError(
            (ran.stdout[-1500:] + ran.stderr[-3000:]) or f"ended with {ran.returncode}"
        )
    result: dict[str, Any] = json.loads(lines[-1])
    return result
