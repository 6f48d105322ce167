"""A valve that is open, with nothing wanted of it: what closed it before outlives a test."""

from hil.node import Node
from hil.protocols import Stimulus

# What a hand at the meter does, and a node that knows of no danger (firmware/node/roles).
_OPEN = """
import esp32
nvs = esp32.NVS('kapok')
for key in ('vlv', 'evt'):
    try:
        nvs.erase_key(key)
    except OSError:
        pass
nvs.commit()
"""
_LOOKS_S = 60  # behind a power-on it looks at its lines once more, and hears no button then


def open_again(node: Node, stimulus: Stimulus) -> None:
    """The node sleeps then, and nothing has happened to it."""
    node.prompt.exec(_OPEN)
    node.reset()
    stimulus.do(valve={"put": 0, "jam": None})
    node.to("asleep")
    node.wait(_LOOKS_S)
    node.until(lambda: node.asleep, _LOOKS_S)
