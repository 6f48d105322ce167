"""The keys that count from then on, as a component: only the root keys sign it (manifest.py)."""

import hashlib

import esp32

from node.config import NAMESPACE
from node.update.ends import Later, Refused
from node.wire import release, trust
from node.wire.uplink import ReportError

_MOST = 2048  # bytes
NAME = "trust"  # in NVS


def trusted() -> bytes:
    """What NVS has; b"" where a node was provisioned without."""
    buffer = bytearray(_MOST)
    try:
        return bytes(memoryview(buffer)[: esp32.NVS(NAMESPACE).get_blob(NAME, buffer)])
    except OSError:
        return b""


def sequence() -> int:
    """Of the keys that count."""
    try:
        return trust.decode(trusted()).sequence
    except ReportError:
        return 0


def check(job) -> None:
    """Nothing is known of it yet."""


def begin(job) -> None:
    """Nothing is kept of it."""


def prepare(job, component, late) -> None:
    """Refused unless it is what the manifest says, and newer."""
    _given(job, component)


def act(job, component) -> str:
    """They count: one blob, written whole."""
    data = _given(job, component, 0)
    try:
        nvs = esp32.NVS(NAMESPACE)
        nvs.set_blob(NAME, data)
        nvs.commit()
    except OSError:
        raise Later
    return "done"


def standing(job, component) -> str:
    """ "done", or "" """
    return "done" if sequence() == trust.decode(_given(job, component, 0)).sequence else ""


def _given(job, component, newer: int = 1) -> bytes:
    form, first, end, _ = job.spans[release.KEYS]
    if form != release.PLAIN or end - first > _MOST:
        raise Refused(release.MALFORMED)
    data = job.bytes(first, end)
    if hashlib.sha256(data).digest() != component.digest:
        raise Refused(release.BAD_DIGEST)
    try:
        given = trust.decode(data)
    except ReportError:
        raise Refused(release.MALFORMED)
    if given.sequence < sequence() + newer:
        raise Refused(release.OLDER)
    return data
