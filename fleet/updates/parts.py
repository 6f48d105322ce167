"""In which parts and forms a release goes to a node: a pure choice by what the node runs."""

import zlib
from collections.abc import Callable
from typing import NamedTuple

from fleet.wire import release

Part = tuple[int, int, int, bytes]  # kind, form, bytes of it in the stream, base

# In the order of the stream; in which a node does them is its own matter. A runtime goes block by
# block into its partition, in the units of an encrypted flash: it begins where the envelope ends,
# on a multiple of them.
ORDER = (release.RUNTIME, release.KEYS, release.PACK, release.MODEM, release.APPLICATION)
# Keys and packs are not worth a DEFLATE. A runtime goes block by block into its partition, and has
# no place beside it: of 4 MiB of flash the file system has 0.6.
_AS_IT_IS = (release.KEYS, release.PACK, release.RUNTIME)


class Chosen(NamedTuple):
    """The parts of a stream, and their bytes one after another."""

    parts: list[Part]
    data: bytes


def deflated(data: bytes) -> bytes:
    """RFC 1951 in zlib's frame with the window that nodes have a place for."""
    packer = zlib.compressobj(9, zlib.DEFLATED, release.WBITS, 9)
    return packer.compress(data) + packer.flush()


def choose(
    manifest: release.Manifest,
    component: Callable[[int], bytes],
    delta: tuple[bytes, bytes] | None = None,
    packed: Callable[[bytes], bytes] = deflated,
) -> Chosen:
    """The smallest form of each component. `component` gives the bytes of a kind; `delta`: base
    and patch of the application, where the node has that base and a patch was proved.
    """
    kinds = {each.kind for each in manifest.components}
    parts: list[Part] = []
    pieces = []
    for kind in ORDER:
        if kind not in kinds:
            continue
        if kind == release.MODEM:  # the modem fetches it by itself
            parts.append((kind, release.FETCHED, 0, b""))
            continue
        form, base, data = release.PLAIN, b"", component(kind)
        if kind not in _AS_IT_IS:
            smaller = packed(data)
            if len(smaller) < len(data):
                form, data = release.DEFLATED, smaller
            if kind == release.APPLICATION and delta is not None and len(delta[1]) < len(data):
                form, (base, data) = release.DELTA, delta
        parts.append((kind, form, len(data), base))
        pieces.append(data)
    return Chosen(parts, b"".join(pieces))


def rebuilt(
    parts: list[Part],
    component: Callable[[int], bytes],
    delta: Callable[[bytes], bytes | None],
    packed: Callable[[bytes], bytes] = deflated,
) -> bytes | None:
    """The bytes of parts that were assigned before, the same again; None where they are not to be
    had any more, as behind a change of the library that packs them.
    """
    pieces = []
    for kind, form, size, base in parts:
        data: bytes | None = b""
        if form == release.DELTA:
            data = delta(base)
        elif form == release.DEFLATED:
            data = packed(component(kind))
        elif form == release.PLAIN:
            data = component(kind)
        if data is None or len(data) != size:
            return None
        pieces.append(data)
    return b"".join(pieces)
