"""What 27.007 replies mean: the time, registration, signal. Total for any text."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.link import diagnosis, replies


def seconds(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('+CCLK: "24/11/23,05:22:10+32"', (seconds(2024, 11, 23, 5, 22, 10), 32)),
        ("+CCLK: 24/11/23,05:22:10+32", (seconds(2024, 11, 23, 5, 22, 10), 32)),
        ('+CCLK: "24/11/23,05:22:10-14"', (seconds(2024, 11, 23, 5, 22, 10), -14)),
        ('+CCLK: "24/11/23,05:22:10"', (seconds(2024, 11, 23, 5, 22, 10), 0)),
        ('+QLTS: "2028/02/29,23:59:59+23,0"', (seconds(2028, 2, 29, 23, 59, 59), 23)),
    ],
)
def test_written_times(line: str, expected: tuple[int, int]) -> None:
    assert replies.written_time(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        '+QLTS: ""',
        '+CCLK: "80/01/06,00:00:21+00"',
        "+CCLK: 00/01/01,00:00:09+00",
        '+CCLK: "24/13/01,00:00:00+32"',
        '+CCLK: "24/11/23,25:00:00+32"',
        '+CCLK: "24/11/23,05:22:10+97"',
        '+CCLK: "24/11/23 05:22:10+32"',
        '+CCLK: "24/+1/23,05:22:10+32"',
        '+CCLK: "24/11/23,05:22"',
    ],
)
def test_a_clock_that_no_network_set_is_none(line: str) -> None:
    assert replies.written_time(line) is None


@given(st.datetimes(datetime(2020, 1, 1), datetime(2099, 12, 31)), st.integers(-96, 96))
def test_every_time_round_trips(when: datetime, zone: int) -> None:
    line = f'+QLTS: "{when:%Y/%m/%d,%H:%M:%S}{zone:+03d},0"'
    expected = int(when.replace(tzinfo=UTC, microsecond=0).timestamp())
    assert replies.written_time(line) == (expected, zone)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("+CEREG: 0,1", (False, 1, 0)),
        ("+CEREG:0,1", (False, 1, 0)),
        ('+CEREG: 3,5,"5A1C","0B2F3D11",9', (False, 5, 0)),
        ("+CEREG: 3,3,,,,0,11", (False, 3, 11)),
        ("+CEREG: 3,2,,,,1,11", (False, 2, 0)),
        ("+CEREG: 2", (True, 2, 0)),
        ('+CEREG: 1,"5A1C","0B2F3D11",9', (True, 1, 0)),
        ('+CEREG: 1,"0001","00000002",7', (True, 1, 0)),
        ("+CEREG: 3,,,,0,15", (True, 3, 15)),
        ("+CEREG: ", None),
        ("+CEREG: 0,99", None),
    ],
)
def test_query_and_urc_of_cereg_are_told_apart(line: str, expected: object) -> None:
    assert replies.registration(line) == expected


def test_signal_and_its_unknowns() -> None:
    assert diagnosis.signal_quality("+CSQ: 22,99") == -69
    assert diagnosis.signal_quality("+CSQ: 99,99") is None
    assert diagnosis.extended_quality("+CESQ: 22,0,255,255,24,51") == (-90, -80)
    assert diagnosis.extended_quality("+CESQ: 99,99,255,255,255,255") == (None, None)


@given(st.text(max_size=60))
def test_any_text_is_taken(text: str) -> None:
    for line in (text, "+X: " + text, '+CCLK: "24/' + text):
        replies.written_time(line)
        replies.registration(line)
        diagnosis.signal_quality(line)
        diagnosis.extended_quality(line)
        replies.fields(line)
