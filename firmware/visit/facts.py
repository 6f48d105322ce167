"""What a node tells a technician at its prompt: versions, slot, journal, resets, sensors.

Not part of a slot: the technician's machine sends it over USB after a soft reset, when boot.py has
mounted the slot and nothing runs. `tell` is the only way out: one line of JSON.
"""

import gc
import json
import os
import sys
import time

import machine

_JOURNAL = "/journal"
_STATE = "fails failed wakes error cause retry next_report clock_sure rung rungs depth"


def tell(what: str, value: object) -> None:
    """One line that the technician's machine finds among whatever else is printed."""
    sys.stdout.write("\nkapok-%s %s\n" % (what, json.dumps(value)))


def _or_error(function):
    # A damaged node must tell all the rest.
    try:
        return function()
    except Exception as e:
        return {"error": "%s: %s" % (type(e).__name__, e)}


def _versions() -> dict:
    machine_ = getattr(sys.implementation, "_machine", "")
    return {"machine": machine_, "version": sys.version}


def _slot() -> dict:
    with open(sys.path[0] + "/digest", "rb") as file:
        return {"digest": file.read(4).hex(), "path": sys.path[0]}


def _flash() -> dict:
    s = os.statvfs("/")
    return {"bytes": s[0] * s[2], "free": s[0] * s[3]}


def _config() -> dict:
    from node import config

    return config.whole()


def _credentials() -> dict:
    # Lengths alone: what is secret stays on the node.
    import esp32

    nvs = esp32.NVS("kapok")
    buffer = bytearray(2048)
    found = {}
    for name in "key cert ca oscore key2 csr2 hmac trust vcert vosc".split():  # noqa: SIM905
        try:
            found[name] = nvs.get_blob(name, buffer)
        except OSError:
            found[name] = 0
    return found


def rtc_state():
    """The node's RtcState as the last wake left it."""
    from node.store.rtcstate import RtcState

    state = RtcState(machine.RTC().memory)
    state.load()
    return state


def _state() -> dict:
    state = rtc_state()
    return {key: state.get(key) for key in _STATE.split()}


def journal() -> dict:
    """Epoch, depth, next sequence, what was dropped (by priority) and found corrupt."""
    if "journal" not in os.listdir("/"):
        return {"epoch": 0, "depth": 0}
    from node.store.journal import Journal

    found = Journal(_JOURNAL, epoch_source=lambda: 1)
    return {
        "epoch": found.epoch,
        "depth": found.depth,
        "next": found.next_sequence,
        "dropped": sum(found.dropped.values()),
        "corrupt": found.corrupt,
    }


def sensors() -> dict:
    """What the inputs of this node say now: levels 0 or 1, analogue inputs in microvolts."""
    pins = _config()["pins"]
    now = {}
    for name in "pulse wake button cover shock water rain".split():  # noqa: SIM905
        if name in pins:
            now[name] = machine.Pin(pins[name], machine.Pin.IN, machine.Pin.PULL_DOWN).value()
    power = machine.Pin(pins["sense"], machine.Pin.OUT, value=1) if "sense" in pins else None
    if power:
        time.sleep_ms(500)  # the sensors behind this load switch
    for name in "level supply battery velocity h2s ch4".split():  # noqa: SIM905
        if name in pins:
            adc = machine.ADC(machine.Pin(pins[name]), atten=machine.ADC.ATTN_11DB)
            now[name + "_uv"] = adc.read_uv()
    if power:
        power.value(0)
    return now


def facts() -> dict:
    """All of it; what cannot be had has an "error" in its place."""
    found = {
        "mac": machine.unique_id().hex(),
        "frequency": machine.freq(),
    }
    for name, function in (
        ("versions", _versions),
        ("slot", _slot),
        ("flash", _flash),
        ("config", _config),
        ("credentials", _credentials),
        ("state", _state),
        ("journal", journal),
        ("sensors", sensors),
    ):
        found[name] = _or_error(function)
        gc.collect()
    found["heap_free"] = gc.mem_free()
    return found
