"""What the components of a release must be, before anybody signs it or the fleet takes it in.

A node checks signatures and digests and nothing of this: what is signed is what is right.
"""

import hashlib

from fleet import schema
from fleet.flashing import hardware, runtime
from fleet.releases import borrow, romfs, slots, target
from fleet.releases.bundle import Bundle
from fleet.releases.errors import BundleError
from fleet.wire import cbor, release, trust
from fleet.wire.uplink import ReportError

_MPY = 6  # the version of bytecode; flags of native code are in the third byte
_NATIVE = 0x7C  # of the third byte: the architecture
_NAMES = ("application", "runtime", "pack", "modem", "keys")
# Components whose version a node knows: of others it has none, and would refuse every release.
NEEDED = (release.APPLICATION, release.RUNTIME, release.KEYS)


def name(kind: int) -> str:
    """A component's name."""
    return _NAMES[kind] if 0 <= kind < len(_NAMES) else str(kind)


def check(bundle: Bundle) -> release.Manifest:
    """The manifest, if all that the bundle has is what it says, and only that; BundleError."""
    says = bundle.says
    if release.encode(says) != bundle.manifest:
        raise BundleError("its manifest is not in the form in which kapok writes it")
    wanted = {each.kind: each for each in says.components}
    if set(wanted) != set(bundle.components):
        raise BundleError("its components are not those of its manifest")
    if says.vendor != target.VENDOR.bytes:
        raise BundleError("it is of another vendor")
    if says.product != target.Target(says.role, says.board).product:
        raise BundleError("its class is not that of its role and board")
    if says.role and says.role not in schema.ROLES:
        raise BundleError(f"no role {says.role!r}")
    for kind, _ in says.needs:
        if kind not in NEEDED:
            raise BundleError(f"it needs a {name(kind)}: no node can say that it has one")
    for kind, data in bundle.components.items():
        each = wanted[kind]
        if len(data) != each.size or hashlib.sha256(data).digest() != each.digest:
            raise BundleError(f"its {name(kind)} is not that of its manifest")
        _CHECKS[kind](says, each, data)
    return says


def _application(says: release.Manifest, _each: release.Component, data: bytes) -> None:
    try:
        files = romfs.read(data)
    except romfs.RomfsError as e:
        raise BundleError(f"its application: {e}") from None
    if next(iter(files)) != slots.DIGEST or slots.slot_image(_rest(files)) != data:
        raise BundleError("its application does not begin with its own digest")
    wanted = cbor.encode([says.sequence, says.role, says.board])
    if files.get(target.RELEASE) != wanted:
        raise BundleError("its application is of another release, role or board")
    if "node/main.mpy" not in files:
        raise BundleError("its application has no node/main.mpy")
    for path, content in files.items():
        folder, _, last = path.rpartition("/")
        if folder in ("", "profiles") and not last.endswith(".mpy"):
            if folder or path in (slots.DIGEST, target.RELEASE):
                continue
        elif path.startswith("node/") or (not folder and _is_module(last.removesuffix(".mpy"))):
            if content[:2] != bytes((0x4D, _MPY)) or content[2] & _NATIVE:
                raise BundleError(f"its application: {path} is no bytecode of .mpy {_MPY}")
            continue
        raise BundleError(f"its application: {path} has no place there")


def _is_module(name: str) -> bool:
    """Whether a module of a slot may lie beside the others under this name: it is one that the
    VM has, so that it takes no heap, and that of no module of the VM's own.
    """
    return name in borrow.lent() and (name != name.lower() or "_" in name[1:])


def _rest(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path != slots.DIGEST}


def _runtime(says: release.Manifest, each: release.Component, data: bytes) -> None:
    try:
        found = runtime.parse(data)
        if says.board:
            runtime.check(found, hardware.load_board(says.board).chip)
    except ValueError as e:
        raise BundleError(f"its runtime: {e}") from None
    if found.bootloader is not None:
        raise BundleError("its runtime has a bootloader: take the application alone")
    if each.version != version_of(found):
        raise BundleError("its runtime is of another version than its manifest says")
    if not says.board:
        raise BundleError("a runtime is for one board: --board")


def version_of(found: runtime.Runtime) -> int:
    """A runtime's version as a manifest has it."""
    major, minor, micro = found.version
    return major << 16 | minor << 8 | micro


def _pack(says: release.Manifest, _each: release.Component, data: bytes) -> None:
    try:
        patch = cbor.decode(data)
    except cbor.CborError as e:
        raise BundleError(f"its configuration pack: {e}") from None
    if not isinstance(patch, dict) or not patch:
        raise BundleError("its configuration pack is no map of keys")
    for role in (says.role,) if says.role else schema.ROLES:
        rules = schema.rules(role)
        for key, value in patch.items():
            if key not in rules or key in schema.FIXED:
                raise BundleError(f"its configuration pack: {role} takes no {str(key)[:40]!r}")
            if value is not None:
                try:
                    schema.judge(str(key), rules[str(key)], value)
                except schema.SchemaError as e:
                    raise BundleError(f"its configuration pack: {role}: {e}") from None


def _modem(_says: release.Manifest, each: release.Component, _data: bytes) -> None:
    if not each.version:
        raise BundleError("its modem firmware has no version")


def _keys(_says: release.Manifest, each: release.Component, data: bytes) -> None:
    try:
        found = trust.decode(data)
    except ReportError as e:
        raise BundleError(f"its keys: {e}") from None
    if trust.encode(found) != data or each.version != 0:
        raise BundleError("its keys are not in the form in which kapok writes them")


_CHECKS = {
    release.APPLICATION: _application,
    release.RUNTIME: _runtime,
    release.PACK: _pack,
    release.MODEM: _modem,
    release.KEYS: _keys,
}
