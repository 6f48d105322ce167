"""What a place can do. Importing this makes the classes known to labgrid."""

from hil.drivers.bench import BenchDriver
from hil.drivers.console import NodeConsoleDriver
from hil.drivers.current import BenchCurrentDriver, CurrentDriver
from hil.drivers.flash import BoardFlashDriver
from hil.drivers.node_port import NodePortDriver
from hil.drivers.prompt import PromptDriver
from hil.drivers.stimulus import BenchStimulusDriver, StimulusDriver
from hil.drivers.twin import BenchTwinDriver, TwinDriver

__all__ = [
    "BenchCurrentDriver",
    "BenchDriver",
    "BenchStimulusDriver",
    "BenchTwinDriver",
    "BoardFlashDriver",
    "CurrentDriver",
    "NodeConsoleDriver",
    "NodePortDriver",
    "PromptDriver",
    "StimulusDriver",
    "TwinDriver",
]
