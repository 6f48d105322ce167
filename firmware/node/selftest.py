"""What a node says about itself at power-on: one line of JSON for who has just flashed it."""

import gc
import json
import os
import sys

import esp32
import machine
from micropython import const

from node import config
from node.errors import ConfigError
from node.modules import forget
from node.wire import cbor

_NOT_FOUND = const(-0x1102)  # ESP_ERR_NVS_NOT_FOUND: it looked, and that is all that is asked


def _vfs() -> bool:
    try:
        return os.stat("/boot.py")[6] > 0
    except OSError:
        return False


def _nvs() -> bool:
    try:
        esp32.NVS(config.NAMESPACE).get_i32("selftest")
    except OSError as e:
        return e.errno == _NOT_FOUND
    return True


def _provisioned() -> bool:
    try:
        config.load()
    except ConfigError:
        return False
    return True


def _slot() -> str:
    try:
        with open(sys.path[0] + "/digest", "rb") as file:
            return file.read(4).hex()
    except OSError:
        return ""


def _release() -> object:
    # [sequence, role, board] of the image; a slot of all roles tells none.
    try:
        with open(sys.path[0] + "/release", "rb") as file:
            return cbor.decode(file.read())
    except (OSError, cbor.CborError):
        return []


def run() -> None:
    """Write the line, and leave the heap as it was."""
    fields = {
        "runtime": ".".join([str(n) for n in sys.implementation.version[:3]]),
        "slot": _slot(),
        "release": _release(),
        "mac": machine.unique_id().hex(),
        "cause": machine.reset_cause(),
        "vfs": _vfs(),
        "nvs": _nvs(),
        "provisioned": _provisioned(),
    }
    forget("node.selftest")
    gc.collect()
    fields["heap"] = gc.mem_free()
    sys.stdout.write("kapok-selftest " + json.dumps(fields) + "\n")
