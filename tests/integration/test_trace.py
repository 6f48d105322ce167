"""A level trace through the whole thread: every value once, at its time, gaps and outliers too."""

from pathlib import Path

import pytest
from fleet_here import FleetHere

from hil.virtual.scenes import SECOND
from hil.virtual.stimulus import TraceError, read_trace
from tests.bench import level_rule, trace
from tests.bench.level_rule import Jumps, Level

HOUR = 3600 * SECOND
START = 1_648_810_510 * SECOND


async def test_every_value_arrives_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "FleetProcess", FleetHere)
    rows = [(START + i * HOUR + i % 7 * 11 * SECOND, 1.5 + i % 40 / 10) for i in range(60)]
    rows += [(at + 24 * 24 * HOUR, value) for at, value in rows[:20]]  # a gap of three weeks
    rows[30] = (rows[30][0], 9.99)  # an outlier
    for i in range(50, 60):  # a flood that lasts
        rows[i] = (rows[i][0], 6.0 + i / 100)
    rows += [(rows[-1][0] + i * HOUR, 1.23) for i in range(1, 20)]  # then the sensor sticks
    wrong, found = await trace.run(tmp_path, rows)
    assert wrong == []
    assert [at for at, value in found.rises if value] == [found.levels[51].time_s]
    assert found.levels[30].flags == level_rule.OUTLIER
    assert sum(value for _, value in found.stuck) == 1
    assert [level.flags for level in found.levels][-7:] == [level_rule.STUCK] * 7
    assert found.jumps.unexplained == 0
    assert found.jumps.flagged == 4  # the tide's fall, the outlier, the flood, what follows it


def test_a_jump_that_no_rule_explains_is_seen() -> None:
    calm = [Level(0, 1000, 0), Level(3600, 1000, 0), Level(7200, 1600, 0), Level(10800, 1600, 0)]
    assert level_rule.jumps(calm, []) == Jumps(unexplained=1)
    assert level_rule.jumps(calm, [(7200, 1)]) == Jumps(alarmed=1)
    flagged = [*calm[:2], Level(7200, 1600, 1), Level(10800, 1000, 0)]
    assert level_rule.jumps(flagged, []) == Jumps(flagged=1, back=1)
    outcome = trace.Outcome(calm, [], [], level_rule.jumps(calm, []))
    assert len(trace.judge(outcome)) == 2, "one level without its flag, one jump unexplained"


def test_compare_sees_what_is_missing_repeated_or_changed() -> None:
    rows = [(START, 1.83), (START + HOUR, 1.84)]
    good = [(START + SECOND, 1831), (START + HOUR, 1838)]
    assert trace.compare(rows, good) == []
    assert trace.compare(rows, good[:1])
    assert trace.compare(rows, [*good, good[1]])
    assert trace.compare(rows, [good[0], (START + HOUR, 1834)])
    assert trace.compare(rows, [good[0], (START + 2 * HOUR, 1838)])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("time,value\n2022-04-01T10:00:00Z,1.0\nyesterday,2\n", ":3:"),
        ("time,value\n2022-04-01T10:00:00Z\n", ":2:"),
        ("time,value\n2022-04-01T10:00:00Z,1\n2022-04-01T09:00:00Z,1\n", ":3:"),
        ("time,value\n2022-04-01T10:00:00Z,nan\n", ":2:"),
    ],
)
def test_a_bad_trace_is_refused_by_file_and_line(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(TraceError, match=what):
        list(read_trace(path))
