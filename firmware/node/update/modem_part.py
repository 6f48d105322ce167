"""A modem's own firmware as a component: the modem fetches and writes it, which takes longer than
a wake. Whether it is done, its version tells; link/writing.py has the record of it.
"""

import esp32
from micropython import const

from node import clock, config
from node.errors import AtError, LinkError
from node.link import writing
from node.modules import forget
from node.update.ends import Later, Refused
from node.wire import release

_TRIES = const(3)
_LISTEN_MS = const(45_000)  # a refusal comes at once; the rest is not worth a host awake
_KEPT_MS = const(5_000)
_BATTERY_LOW = const(9)  # wire/quantity.py
_NAME = const(8)  # bytes of the digest, in hex: the file's name


def check(job) -> None:
    """Refused where it cannot be done, as far as is known without the modem."""
    if job.spans[release.MODEM][0] != release.FETCHED:
        raise Refused(release.MALFORMED)
    if not config.load().get("fota"):
        raise Refused(release.MODEM_FAILED, release.MODEM_NO_ADDRESS)


def begin(job) -> None:
    """What an earlier job has under way goes on; `converse` waits for it."""


def prepare(job, component, late) -> None:
    """The modem does all of it, and checks it."""
    check(job)


def act(job, component) -> str:
    """It needs a contact."""
    return "contact"


def standing(job, component) -> str:
    """ "done" once the modem has told its version, and "contact" until then."""
    return "done" if writing.done(_nvs()) == job.number else "contact"


async def converse(job, component, link, left_ms: int) -> None:
    """Tell the modem, or give it its time, and ask for its version. AT commands go between two
    calls: a door over PPP is shut behind this.
    """
    if not clock.is_set():
        raise Later
    modem = link.modem
    if modem.ppp is not None:
        while link.opened:
            await link.opened.pop().close()
        await modem._activate()
    nvs = _nvs()
    if await _version(modem) == component.version:
        writing.end(nvs, link, job.number)
        return
    if not modem.FOTA:
        raise Refused(release.MODEM_FAILED, release.MODEM_HAS_NONE)
    now = clock.now()
    held = writing.held(nvs)
    began = held[2] if held else 0
    under_way = now - began < writing.PATIENCE_S
    if held is None or (held[0] != job.number and not under_way):
        held = [job.number, 0, 0, 0, 0]
        began = 0
    if began and not under_way:
        held[4] = release.MODEM_UNCHANGED
    if not under_way and _BATTERY_LOW in (link.state.get("events") or ()):
        raise Later  # one that browns out while it writes is worse off than before
    if not under_way and held[1] >= _TRIES:
        writing.end(nvs, link)
        raise Refused(release.MODEM_FAILED, held[4])
    from node.link.fota import Fota

    fota = Fota(modem)
    try:
        if under_way:
            await fota.resume(component.size)
        else:
            held[1:4] = held[1] + 1, now, writing.MUTES
            _keep(nvs, held)
            link.state.set("fota", 1)
            writing.spare(modem)
            await fota.begin(link.config["fota"] + component.digest[:_NAME].hex())
        await fota.listen(max(0, min(left_ms - _KEPT_MS, _LISTEN_MS)))
    except LinkError as e:  # what is not told is found out later
        if isinstance(e, AtError) and not under_way:
            fota.error = e.cause or release.MODEM_UNCHANGED
    finally:
        forget("node.link.fota")
    if fota.error:
        held[2:5] = 0, 0, fota.error
        modem.busy = False
        if held[0] == job.number and held[1] >= _TRIES:
            writing.end(nvs, link)
            raise Refused(release.MODEM_FAILED, fota.error)
        _keep(nvs, held)


def _nvs() -> esp32.NVS:
    return esp32.NVS(config.NAMESPACE)


async def _version(modem) -> "str | None":
    from node.link.diagnosis import firmware

    try:
        return await firmware(modem)
    finally:
        forget("node.link.diagnosis")


def _keep(nvs, held: list) -> None:
    if not writing.keep(nvs, held):
        raise Later
