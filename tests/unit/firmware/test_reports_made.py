"""What of the journal two reports take: so many bytes, so many records, and their ranges."""

import sys
import types
from typing import Any

import pytest
from firmware_modules import fresh
from node.wire import receipt, report, uplink

EPOCH, NOW = 77, 1_795_411_856


class Journal:
    """Records that wait, by their number."""

    epoch = EPOCH

    def __init__(self, records: list[tuple[int, bytes]]) -> None:
        self.records = records
        self.asked: tuple[int, int] = (0, 0)

    def oldest(self, max_bytes: int, max_records: int) -> list[tuple[int, bytes]]:
        self.asked = (max_bytes, max_records)
        return self.records


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "machine", types.ModuleType("machine"))
    module = fresh("reports")
    monkeypatch.setattr(module, "_tell", lambda *_: None)
    monkeypatch.setattr(module, "clock", types.SimpleNamespace(now=lambda: NOW))
    status: dict[int, int] = {}
    monkeypatch.setattr(module, "_status", lambda *_: (status, None))

    def made(journal: Journal, told: dict[int, int] | None = None) -> list[Any]:
        status.clear()
        status.update(told or {})
        reports: list[Any] = module.make(journal, {}, [])[0]
        return reports

    return made


def body(size: int, n: int = 0) -> bytes:
    """A record's of so many bytes."""
    for values in range(1, 17):
        for top in range(1, 64):
            flat = [(q, 1 << top if q < values else n) for q in range(1, values + 1)]
            found: bytes = uplink.encode_body(NOW - 100, 0, flat)
            if len(found) == size:
                return found
    raise AssertionError(f"no body has {size} bytes")


def numbers(reports: list[Any]) -> list[list[int]]:
    return [[one.sequence for one in report.decode(data).records] for data, _ in reports]


def test_a_report_has_up_to_900_bytes_of_bodies(make: Any) -> None:
    fits = [(n, body(100)) for n in range(1, 10)]
    assert numbers(make(Journal(fits))) == [list(range(1, 10))]
    more = [*fits[:7], (8, body(79)), (9, body(110)), (10, body(12))]  # 901 bytes
    assert numbers(make(Journal(more))) == [list(range(1, 10)), [10]]


def test_and_up_to_48_records(make: Any) -> None:
    small = [(n, body(9)) for n in range(1, 50)]
    assert numbers(make(Journal(small[:48]))) == [list(range(1, 49))]
    assert numbers(make(Journal(small))) == [list(range(1, 49)), [49]]


def test_there_are_two_at_the_most_and_no_more_is_asked_for(make: Any) -> None:
    journal = Journal([(n, body(9)) for n in range(1, 98)])
    assert [len(one) for one in numbers(make(journal))] == [48, 48]
    assert journal.asked == (1800, 96)


def test_each_has_the_receipt_that_covers_it(make: Any) -> None:
    journal = Journal([(n, body(9)) for n in (3, 4, 5, 8, 10, 11)])
    ((_, whole),) = make(journal)
    assert whole == receipt.encode(EPOCH, [(3, 5), (8, 8), (10, 11)])
    journal = Journal([(n, body(9)) for n in range(1, 50)])
    assert [whole for _, whole in make(journal)] == [
        receipt.encode(EPOCH, [(1, 48)]),
        receipt.encode(EPOCH, [(49, 49)]),
    ]


def test_the_first_carries_the_status_which_goes_alone_where_nothing_waits(make: Any) -> None:
    journal = Journal([(n, body(9)) for n in range(1, 50)])
    first, second = (report.decode(data) for data, _ in make(journal, {0: 5}))
    assert (first.status, second.status) == ({0: 5}, {})
    assert (first.epoch, first.sent) == (EPOCH, NOW)
    ((alone, whole),) = make(Journal([]), {0: 0})
    assert report.decode(alone).records == []
    assert whole == receipt.encode(EPOCH, [])
    assert make(Journal([])) == []
