"""What a script sees of the chip's modules is as documented; on the virtual rig: or as
it is known to differ (docs/hil-fidelity.md).
"""

import pytest

from fleet.flashing.hardware import load_board
from hil.fidelity import facts
from hil.node import Node

_WORD = 1 << 31  # a chip's integers are smaller
# Those that need no pin which somebody else drives; the rest is asked of a bare board by hand
# (docs/hil-fidelity.md). The last erases a block of the node's file system.
_SCRIPTS = ("clock", "nvs", "pwm", "tls", "rtc", "partition")


@pytest.mark.requirement("K-FID-01")
@pytest.mark.parametrize("script", _SCRIPTS)
def test_a_script_is_told_what_is_documented(node: Node, script: str) -> None:
    with node.prompt.visit() as repl:
        virtual = int(repl.execute("import sys; print(sys.maxsize)")) > _WORD
        said = facts.told(repl.execute(facts.text(script)).splitlines())
    if script == "partition":
        node.blank()
    chip = load_board(node.board).chip
    apart = facts.differences(script, chip, said, of="virtual" if virtual else "chip")
    assert not apart, "\n".join(map(str, apart))
