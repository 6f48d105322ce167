"""What the demo says of alarms: each once, as it comes."""

from pathlib import Path

import pytest
from alarm_rig import EVENT, AlarmRig

from fleet.wire.quantity import LEVEL
from hil.demo_alarms import AlarmLines


def test_a_storm_is_told_within_the_report_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = AlarmRig(tmp_path, monkeypatch)
    (node,) = rig.nodes("drainage")
    lines = AlarmLines(rig.path, "en")
    rig.series(node, LEVEL, [(0, 1000)])
    assert lines.new() == []
    rig.now = 1800
    rig.say(node, (900, [(LEVEL, 1200)]), (1800, [(LEVEL, 1700), (EVENT + 21, 1)]))
    found = lines.new()
    assert [line.split(":")[0] for line in found] == ["alarm (critical)", "alarm (warning)",
                                                      "alarm (critical)"]  # fmt: skip
    assert "rose by 0.700 m within 1 h, to 1.700 m" in found[1]
    assert lines.new() == []
    lines.close()
