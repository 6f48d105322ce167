"""What a place can do. Importing this makes the classes known to labgrid."""

from hil.drivers.bench import BenchDriver
from hil.drivers.console import NodeConsoleDriver
from hil.drivers.flash import BoardFlashDriver
from hil.drivers.node_port import NodePortDriver
from hil.drivers.prompt import PromptDriver

__all__ = [
    "BenchDriver",
    "BoardFlashDriver",
    "NodeConsoleDriver",
    "NodePortDriver",
    "PromptDriver",
]
