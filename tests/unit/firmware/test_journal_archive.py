"""Records that have their receipts stay as long as there is room, and can be sent once more."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.store.journal import ALARM, Journal
from node.wire import uplink

HOUR = 3600
ALL = 1 << 30
START = 1_780_300_800
TAKE = 48


def opened(folder: Path, archive: int = 36, most: int = 64, size: int = 2048) -> Journal:
    return Journal(str(folder / "j"), size, most, lambda: 77, archive)  # as store/lazy.py


def freeze(journal: Journal, hour: int) -> int:
    values = [(1, hour * 10)]
    if hour % 24 == 0:
        values += [(6, hour * 10)]
    sequence: int = journal.append(uplink.encode_body(START + hour * HOUR, 0, values))
    return sequence


def receipt_all(journal: Journal, take: int = TAKE) -> list[int]:
    """Send and receipt until nothing waits; the sequences in the order of their reports."""
    sent: list[int] = []
    while journal.depth:
        part = [sequence for sequence, _ in journal.oldest(900, take)]
        sent += part
        assert journal.trim(77, [(n, n) for n in part]) == len(part)
    return sent


def hours(journal: Journal) -> list[int]:
    """Of the records that wait."""
    bodies = [body for _, body in journal.oldest(ALL, ALL)]
    return [(uplink.body_time(body) - START) // HOUR for body in bodies]


def test_hourly_and_daily_freezes_are_there_for_over_ninety_days(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for hour in range(200 * 24):
        freeze(journal, hour)
        if hour % 24 == 5:
            receipt_all(journal)
    receipt_all(journal)
    journal = opened(tmp_path)
    last = 200 * 24 - 1
    assert journal.resend(START, START + last * HOUR) == len(hours(journal)) >= 90 * 24
    assert hours(journal)[-1] == last
    assert len(os.listdir(tmp_path / "j")) <= 1 + 36 + 2


def test_a_time_range_is_sent_once_more_under_its_own_numbers(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    sequences = [freeze(journal, hour) for hour in range(300)]
    receipt_all(journal)
    freeze(journal, 300)
    assert journal.resend(START + 100 * HOUR, START + 110 * HOUR) == 11
    freeze(journal, 301)
    journal = opened(tmp_path)
    assert hours(journal) == [*range(100, 111), 300, 301]
    assert receipt_all(journal, 4) == [*sequences[100:111], 301, 302]
    assert (journal.depth, hours(journal)) == (0, [])
    assert hours(opened(tmp_path)) == []


def test_what_is_not_there_any_more_is_not_promised(tmp_path: Path) -> None:
    journal = opened(tmp_path, archive=2, size=1024)
    for hour in range(600):
        freeze(journal, hour)
        receipt_all(journal)
    assert journal.resend(START, START + 24 * HOUR) == 0
    assert journal.depth == 0
    assert journal.resend(START + 10_000 * HOUR, START + 20_000 * HOUR) == 0


def test_the_archive_gives_way_before_anything_that_waits(tmp_path: Path) -> None:
    journal = opened(tmp_path, archive=6, most=8, size=1024)
    for hour in range(400):
        freeze(journal, hour)
    receipt_all(journal)
    for hour in range(400, 600):
        freeze(journal, hour)
    assert sum(journal.dropped.values()) == 0
    assert hours(journal) == list(range(400, 600))


def test_a_resend_is_given_up_before_new_records_are_dropped(tmp_path: Path) -> None:
    journal = opened(tmp_path, archive=6, most=8, size=1024)
    for hour in range(300):
        freeze(journal, hour)
    receipt_all(journal)
    assert journal.resend(START, START + 299 * HOUR) > 100
    for hour in range(300, 500):
        freeze(journal, hour)
    assert sum(journal.dropped.values()) == 0
    assert set(range(300, 500)) <= set(hours(journal))
    assert journal.depth == len(hours(journal))


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 30), st.booleans()),
            st.tuples(st.just("receipt"), st.integers(1, 60), st.booleans()),
            st.tuples(st.just("resend"), st.integers(0, 400), st.booleans()),
            st.tuples(st.just("open"), st.just(0), st.booleans()),
        ),
        max_size=30,
    )
)
def test_nothing_is_forgotten_or_sent_for_ever(
    data: list[tuple[str, int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    journal = opened(folder)
    hour, waiting = 0, set()
    for what, n, flag in data:
        if what == "append":
            for _ in range(n):
                body = uplink.encode_body(START + hour * HOUR, 0, [(1, hour)])
                waiting.add(journal.append(body, ALARM if flag else 0))
                hour += 1
        elif what == "receipt":
            part = {sequence for sequence, _ in journal.oldest(ALL, n)}
            journal.trim(77, [(s, s) for s in sorted(part)])
            waiting -= part
        elif what == "resend":
            more = journal.resend(START + n * HOUR, START + (n + 40) * HOUR)
            assert more >= 0
        else:
            journal = opened(folder)
        found = {sequence for sequence, _ in journal.oldest(ALL, ALL)}
        assert waiting <= found
        assert len(found) == journal.depth
    receipt_all(journal)
    assert journal.depth == 0
    assert journal.corrupt == 0
