"""A configuration pack as a component: a merge patch that is on trial as one that came as an item
(node.configure), under the update's number.
"""

import hashlib

import esp32

from node import config
from node.modules import forget
from node.update.ends import Later, Refused
from node.wire import release

_REFUSED = "refn"  # in NVS: the newest item that was refused, or taken back


def check(job) -> None:
    """Refused unless it comes as it is, and is no longer than a configuration."""
    form, first, end, _ = job.spans[release.PACK]
    if form != release.PLAIN or end - first > config.LONGEST:
        raise Refused(release.MALFORMED)


def begin(job) -> None:
    """Nothing is kept of it."""


def prepare(job, component, late) -> None:
    """Refused for the first key that is wrong: with schema's code, and the key's as detail."""
    _holds(_given(job, component))


def act(job, component) -> str:
    """In force from the next boot on, and on trial."""
    payload = _given(job, component)
    if _holds(payload):
        return "done"
    from node import configure

    try:
        configure.patch(esp32.NVS(config.NAMESPACE), payload, job.number)
    except OSError:
        raise Later
    finally:
        forget("node.configure")
        forget("node.schema")
    return "restart"


def standing(job, component) -> str:
    """ "trial", "done"; "back" once it was given up; "" where it is not in force."""
    if _holds(_given(job, component)):
        return "trial" if config.on_trial() else "done"
    try:
        refused = esp32.NVS(config.NAMESPACE).get_i32(_REFUSED)
        return "back" if refused >= job.number else ""
    except OSError:
        return ""  # nothing was ever refused


def _given(job, component) -> bytes:
    _, first, end, _ = job.spans[release.PACK]
    data = job.bytes(first, end)
    if hashlib.sha256(data).digest() != component.digest:
        raise Refused(release.BAD_DIGEST)
    return data


def _holds(payload: bytes) -> bool:
    # Whether the patch would change nothing; Refused for one that is wrong.
    from node import configure

    try:
        before, after, wrong = configure.merged(esp32.NVS(config.NAMESPACE), payload)
    finally:
        forget("node.configure")
        forget("node.schema")
    if wrong:
        raise Refused(wrong[0][0], wrong[0][1])
    return after == before
