"""A modem that may be writing firmware of its own: its pins are left alone then, and it is not put
to sleep behind a contact, since it fetches while the node sleeps. Loaded in such wakes, and once
after power came back.

NVS `fota` is strict CBOR [item, tries, begun, mutes, code], written before the modem is told, so
that it is never told twice at once: `begun` in s since 1970, 0 between two tries, `code` how the
last one failed. [item] once it is done.
"""

import esp32
from micropython import const

from node import clock, config
from node.errors import ModemMute
from node.wire import cbor

# So many contacts may find it mute, as it is while it writes, before the ladder may touch it: with
# their waits half an hour. No maker allows that to be interrupted.
MUTES = 5
# From the command to the new version at the most: 500 KB at 1.5 kbit/s, and writing it.
PATIENCE_S = 3_600
_LONGEST = const(64)
_BEGUN = const(2)
_MUTES = const(3)


async def wake(link) -> None:
    """As Modem.wake, of the modem of `link`, a Session."""
    nvs = esp32.NVS(config.NAMESPACE)
    kept = held(nvs)
    modem = link.modem
    began = kept[_BEGUN] if kept else 0
    now = clock.now()
    if kept and now < began and clock.is_set():  # the clock was put back
        kept[_BEGUN] = now
        keep(nvs, kept)
    if now - began >= PATIENCE_S:
        began = 0  # whatever became of it, it is over
    link.state.set("fota", int(began != 0))
    if kept is None or not began or not kept[_MUTES]:
        await modem.wake(link.state)
        return
    spare(modem)
    mutes = MUTES
    try:
        await modem.wake(link.state)
    except ModemMute:
        mutes = kept[_MUTES] - 1
        raise
    finally:
        if kept[_MUTES] != mutes:
            kept[_MUTES] = mutes
            keep(nvs, kept)


def spare(modem) -> None:
    """From now on, in this contact."""
    modem.busy = True
    for name in ("reset", "pwrkey", "cut"):
        modem._pins.pop(name, None)


def keep(nvs, kept: list) -> bool:
    """Whether NVS has the record."""
    try:
        nvs.set_blob("fota", cbor.encode(kept))
        nvs.commit()
    except OSError:
        return False
    return True


def end(nvs, link, done: int = 0) -> None:
    """It is over; `done`: the item by which the modem has its new firmware, 0: it failed."""
    link.state.set("fota", 0)
    link.modem.busy = False
    if done:
        keep(nvs, [done])
        return
    try:
        nvs.erase_key("fota")
        nvs.commit()
    except OSError:
        pass  # there is none


def held(nvs) -> "list | None":
    """The record, None where no firmware is under way."""
    kept = _kept(nvs)
    return kept if len(kept) == 5 else None


def done(nvs) -> int:
    """The item by which the modem got the firmware that it has, 0 for none."""
    kept = _kept(nvs)
    return kept[0] if len(kept) == 1 else 0


def _kept(nvs) -> list:
    buffer = bytearray(_LONGEST)
    try:
        kept = cbor.decode(bytes(memoryview(buffer)[: nvs.get_blob("fota", buffer)]))
    except (OSError, cbor.CborError):
        return []
    return kept if isinstance(kept, list) else []
