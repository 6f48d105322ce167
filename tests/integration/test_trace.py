"""A level trace through the whole thread: every value once, at its time, gaps and outliers too."""

from pathlib import Path

import pytest

from hil.virtual.scenes import SECOND
from hil.virtual.stimulus import TraceError, read_trace
from tests.bench import trace

HOUR = 3600 * SECOND
START = 1_648_810_510 * SECOND


async def test_every_value_arrives_once(tmp_path: Path) -> None:
    rows = [(START + i * HOUR + i % 7 * 11 * SECOND, 1.5 + i % 40 / 10) for i in range(60)]
    rows += [(at + 24 * 24 * HOUR, value) for at, value in rows[:20]]  # a gap of three weeks
    rows[30] = (rows[30][0], 9.99)  # an outlier
    assert await trace.run(tmp_path, rows) == []


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
