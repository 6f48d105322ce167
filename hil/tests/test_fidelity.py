"""What a script sees of the chip's modules is as documented; on the virtual rig: or as
it is known to differ (docs/hil-fidelity.md).
"""

import pytest

from fleet.flashing.hardware import load_board
from hil.fidelity import facts
from hil.node import Node

_WORD = 1 << 31  # a chip's integers are smaller


@pytest.mark.requirement("K-FID-01")
@pytest.mark.parametrize("script", ["clock", "nvs", "pwm", "tls"])
def test_a_script_is_told_what_is_documented(node: Node, script: str) -> None:
    with node.prompt.visit() as repl:
        virtual = int(repl.execute("import sys; print(sys.maxsize)")) > _WORD
        said = facts.told(repl.execute(facts.text(script)).splitlines())
    chip = load_board(node.board).chip
    apart = facts.differences(script, chip, said, of="virtual" if virtual else "chip")
    assert not apart, "\n".join(map(str, apart))
