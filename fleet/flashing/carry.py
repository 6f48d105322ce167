"""What a board's NVS must not lose when it is written: numbers and configuration, no secrets.

They lie on the technician's disk from before the write until the confirmation, since a write that
is cut leaves a board that has forgotten them.
"""

import base64
import json
from collections.abc import Mapping

from fleet.flashing.port_lock import state_folder
from fleet.identity.files import PRIVATE, write_atomic

# The register of a gas meter, and how far the node is with the fleet's items.
NUMBERS = ("pulses", "down", "cfgn", "refn")
_CONFIGURATION = "cfg"
Kept = dict[str, int | bytes]


def of(ours: Mapping[str, int | bytes]) -> Kept:
    """The values of the firmware's namespace that go on."""
    kept: Kept = {name: value for name in NUMBERS if type(value := ours.get(name)) is int}
    configuration = ours.get(_CONFIGURATION)
    if isinstance(configuration, bytes):
        kept[_CONFIGURATION] = configuration
    return kept


def save(mac: bytes, kept: Kept) -> None:
    """Keep them; nothing is kept of a board that had nothing."""
    if not kept:
        return
    folder = state_folder() / "carry"
    folder.mkdir(exist_ok=True)
    plain = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in kept.items()
    }
    write_atomic(folder / f"{mac.hex()}.json", json.dumps(plain).encode(), PRIVATE)


def load(mac: bytes) -> Kept:
    """What an earlier run that did not come to its end kept; {} where there is nothing."""
    try:
        plain = json.loads((state_folder() / "carry" / f"{mac.hex()}.json").read_bytes())
        kept: Kept = {name: value for name in NUMBERS if type(value := plain.get(name)) is int}
        if _CONFIGURATION in plain:
            kept[_CONFIGURATION] = base64.b64decode(plain[_CONFIGURATION], validate=True)
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return kept


def forget(mac: bytes) -> None:
    """The board has them."""
    (state_folder() / "carry" / f"{mac.hex()}.json").unlink(missing_ok=True)
