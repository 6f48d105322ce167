"""What may stand on a rig. Importing this makes the classes known to labgrid."""

from hil.resources.modem import ModemTwinLine
from hil.resources.node_port import NodePort
from hil.resources.stimulus import StimulusBoard
from hil.resources.virtual import VirtualBoard

__all__ = ["ModemTwinLine", "NodePort", "StimulusBoard", "VirtualBoard"]
