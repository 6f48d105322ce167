"""From sources and files to a bundle that nobody has signed yet."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fleet.flashing import runtime
from fleet.releases import content, flat, sbom, slots, target
from fleet.releases.bundle import Bundle
from fleet.releases.errors import BundleError
from fleet.releases.target import Target
from fleet.wire import cbor, release
from fleet.wire.uplink import ReportError

# MicroPython on which an application runs, unless the order says otherwise.
RUNTIMES = (1 << 16 | 27 << 8, 1 << 16 | 0xFFFF)


class Order(NamedTuple):
    """What a release is to be. `expiry` in s since 1970; `runtimes` (least, most) as
    release.Component.version; `needs` as release.Manifest's. Files of components beside the
    application: `runtime`, an application image; `pack`, JSON of a configuration's patch; `modem`
    with the version that the modem says it has then; `keys`, of `kapok release keys trust`.
    """

    target: Target
    sequence: int
    expiry: int
    application: bool = True
    runtime: Path | None = None
    pack: Path | None = None
    modem: tuple[Path, str] | None = None
    keys: Path | None = None
    runtimes: tuple[int, int] = RUNTIMES
    needs: Sequence[tuple[int, int]] = ()


def make(firmware: Path, out: Path, order: Order) -> Bundle:
    """The bundle, checked as if a stranger had made it. The same order and files give the same
    bytes. `out` as in `slots.build`. BundleError or BuildError.
    """
    target.check(order.target)
    components: dict[int, bytes] = {}
    versions: dict[int, int | str] = {}
    if order.application:
        components[release.APPLICATION] = target.image(firmware, out, order.target, order.sequence)
    if order.runtime is not None:
        found = runtime.load(order.runtime)
        # Alone, and without the erased flash of a combined image: it goes into a partition.
        components[release.RUNTIME] = found.app
        versions[release.RUNTIME] = content.version_of(found)
    if order.pack is not None:
        components[release.PACK] = cbor.encode(_patch(order.pack))
    if order.modem is not None:
        path, version = order.modem
        components[release.MODEM] = _bytes(path)
        versions[release.MODEM] = version
    if order.keys is not None:
        components[release.KEYS] = _bytes(order.keys)
    abi = _word(runtime.slot_abi())
    manifest = release.Manifest(
        order.sequence,
        target.VENDOR.bytes,
        order.target.product,
        order.target.role,
        order.target.board,
        (abi, abi),
        order.runtimes,
        [_component(kind, components[kind], versions.get(kind, 0)) for kind in sorted(components)],
        sorted(order.needs),
        order.expiry,
    )
    try:
        raw = release.encode(manifest)
        release.decode(raw)
    except (ReportError, cbor.CborError) as e:
        raise BundleError(f"such a release cannot be: {e}") from None
    made = Bundle(raw, (), components, "")
    made = made._replace(sbom=sbom.document(made, flat.names(slots.read_sources(firmware))))
    content.check(made)
    return made


def _component(kind: int, data: bytes, version: int | str) -> release.Component:
    return release.Component(kind, len(data), hashlib.sha256(data).digest(), version)


def _word(version: tuple[int, int]) -> int:
    return version[0] << 8 | version[1]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise BundleError(f"{path}: cannot be read: {e.strerror}") from None


def _patch(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(_bytes(path))
    except (ValueError, RecursionError):
        raise BundleError(f"{path} is no JSON") from None
    if not isinstance(found, dict):
        raise BundleError(f"{path} is no map of keys")
    try:
        cbor.encode(found)
    except cbor.CborError as e:
        raise BundleError(f"{path}: {e}") from None
    return found
