"""Tables, drop folders and HTTP interfaces are read whole, in any order of events."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import bridge_rig as rig
import pytest
from ledger_rig import Stop
from sqlalchemy import text

from fleet.bridge import opening
from fleet.bridge.cursors import Counts
from fleet.bridge.errors import BridgeError, MappingFault, SourceGone
from fleet.bridge.sources.database import DatabaseSource
from fleet.db.base import Database
from fleet.legacy import intake


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(rig.open_fleet(tmp_path)) as opened:
        yield opened


@pytest.fixture
def station(tmp_path: Path) -> Iterator[rig.Station]:
    with contextlib.closing(rig.Station(tmp_path)) as opened:
        yield opened


def read_all(database: Database, folder: Path, mapped: Any) -> Counts:
    with rig.pump(database, folder, mapped) as moved:
        return moved.round()


def minutes(database: Database) -> list[int]:
    return sorted((us - rig.us(0)) // 60_000_000 for _, us, _ in rig.stored(database))


def test_a_table_is_read_to_its_end_and_on_from_there(
    database: Database, station: rig.Station, tmp_path: Path
) -> None:
    station.add(*((n, f"T{n % 5 + 1}", n, "1.5") for n in range(1, 23)))
    mapped = rig.write(tmp_path, rig.table(station, "batch = 5\noverlap = 0"))
    assert read_all(database, tmp_path, mapped) == (22, 22, 0, 0, 0)
    station.add((23, "T1", 23, "1.5"))
    assert read_all(database, tmp_path, mapped) == (1, 1, 0, 0, 0)
    assert minutes(database) == list(range(1, 24))


def test_a_view_with_times_as_its_cursor(
    database: Database, station: rig.Station, tmp_path: Path
) -> None:
    station.add(*((n, "T1", n // 4, f"{n}") for n in range(12)))
    with station.engine.begin() as connection:
        connection.execute(
            text("CREATE VIEW newest AS SELECT *, 'x' AS more FROM reads WHERE id % 4 = 0")
        )
    source = rig.table(station, "batch = 2").replace('"reads"', '"newest"')
    mapped = rig.write(tmp_path, source.replace('cursor = "id"', 'cursor = ["at", "id"]'))
    assert read_all(database, tmp_path, mapped).stored == 3


def test_rows_of_one_cursor_value_are_never_torn_apart(
    database: Database, station: rig.Station, tmp_path: Path
) -> None:
    # Twenty rows of one id, with pages of five.
    station.add(*((7, "T1", n, "1") for n in range(20)), *((8, "T2", n, "1") for n in range(3)))
    mapped = rig.write(tmp_path, rig.table(station, "batch = 5\noverlap = 0"))
    read_all(database, tmp_path, mapped)
    assert len(rig.stored(database)) == 23


def late(database: Database, station: rig.Station, folder: Path, more: str) -> list[int]:
    """A transaction that drew number 4 commits behind number 5."""
    mapped = rig.write(folder, rig.table(station, more))
    station.add((3, "T1", 3, "1"), (5, "T1", 5, "1"))
    read_all(database, folder, mapped)
    station.add((4, "T1", 4, "1"))
    read_all(database, folder, mapped)
    station.add((6, "T1", 6, "1"))
    read_all(database, folder, mapped)
    return minutes(database)


def test_a_row_that_was_committed_late_is_found(
    database: Database, station: rig.Station, tmp_path: Path
) -> None:
    assert late(database, station, tmp_path, "") == [3, 4, 5, 6]


def test_sabotage_without_the_overlap_a_late_row_is_lost(
    database: Database, station: rig.Station, tmp_path: Path
) -> None:
    assert late(database, station, tmp_path, "overlap = 0") == [3, 5, 6]


def test_a_batch_that_was_not_taken_in_is_read_again(
    database: Database, station: rig.Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station.add(*((n, "T1", n, "1") for n in range(20)))
    mapped = rig.write(tmp_path, rig.table(station, "batch = 5\noverlap = 0"))
    write = intake.write
    calls = []

    def fails_at_second(session: Any, arrivals: Any) -> Any:
        calls.append(len(arrivals))
        if len(calls) == 2:
            raise Stop
        return write(session, arrivals)

    with rig.pump(database, tmp_path, mapped) as moved:
        monkeypatch.setattr(intake, "write", fails_at_second)
        with pytest.raises(Stop):
            moved.round()
        moved.round()  # by the same source, which has read on already
    assert minutes(database) == list(range(20))


def test_a_table_that_is_not_there_and_a_column_that_it_has_not(
    station: rig.Station, tmp_path: Path
) -> None:
    source = rig.table(station).replace('"reads"', '"readings"')
    with pytest.raises(BridgeError, match="no table or view 'readings'"):
        opening.source(rig.write(tmp_path, source)).read("")
    source = rig.table(station).replace('"id"', '"number"')
    with pytest.raises(BridgeError, match="no column 'number'; it has id, meter, at"):
        opening.source(rig.write(tmp_path, source)).read("")


def test_no_line_ever_shows_a_password(tmp_path: Path) -> None:
    for url in ("nosuch://kapok:s3cret@host/db", "postgresql+psycopg2://k:s3cret@127.0.0.1:1/x"):
        source = f'kind = "database"\nurl = "{url}"\ntable = "t"\ncursor = "id"'
        with pytest.raises((BridgeError, MappingFault)) as refused:
            opening.source(rig.write(tmp_path, source)).read("")
        assert "s3cret" not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_rows_without_a_cursor_are_counted(station: rig.Station, tmp_path: Path) -> None:
    with station.engine.begin() as connection:
        connection.execute(text("INSERT INTO reads (meter) VALUES ('T1')"))
    source = opening.source(rig.write(tmp_path, rig.table(station)))
    assert isinstance(source, DatabaseSource)
    source.read("")
    assert source.unseen() == 1
    source.close()


# Folders


def folder(tmp_path: Path, more: str = "quiet_s = 0") -> Any:
    (tmp_path / "drop").mkdir(exist_ok=True)
    return rig.write(tmp_path, f'kind = "folder"\npath = "drop"\nbatch = 4\n{more}')


def drop(tmp_path: Path, name: str, first: int, count: int, volume: str = "1") -> Path:
    path = tmp_path / "drop" / name
    lines = [f"T1,{rig.at(n)},{volume}" for n in range(first, first + count)]
    path.write_text("\n".join(["meter,at,volume", *lines]) + "\n")
    return path


def test_files_are_read_once_and_moved(database: Database, tmp_path: Path) -> None:
    mapped = folder(tmp_path)
    drop(tmp_path, "a.csv", 0, 10)
    drop(tmp_path, "b.CSV", 20, 3)
    (tmp_path / "drop" / "notes.md").write_text("none of ours")
    drop(tmp_path, "c.csv.part", 30, 3)
    assert read_all(database, tmp_path, mapped).stored == 13
    assert sorted(path.name for path in (tmp_path / "drop" / "done").iterdir()) == [
        "a.csv", "b.CSV",
    ]  # fmt: skip
    drop(tmp_path, "a.csv", 0, 11)  # the same name with one line more
    assert read_all(database, tmp_path, mapped) == (11, 1, 10, 0, 0)
    assert (tmp_path / "drop" / "done" / "a-2.csv").exists()
    assert minutes(database) == [*range(11), 20, 21, 22]


def test_a_file_that_still_grows_is_left_alone(database: Database, tmp_path: Path) -> None:
    mapped = folder(tmp_path, "quiet_s = 3600")
    drop(tmp_path, "a.csv", 0, 3)
    assert read_all(database, tmp_path, mapped).rows == 0


def test_a_file_that_is_no_table_is_set_aside_with_its_reason(
    database: Database, tmp_path: Path
) -> None:
    mapped = folder(tmp_path)
    (tmp_path / "drop" / "a.csv").write_bytes(b"\xff\xfe\x00\x01\x80")
    (tmp_path / "drop" / "b.xlsx").write_bytes(b"PK\x03\x04 and no more")
    drop(tmp_path, "c.csv", 0, 2)
    assert read_all(database, tmp_path, mapped).stored == 2
    assert len(list((tmp_path / "drop" / "refused").iterdir())) == 2
    whys = [one["why"] for one in rig.letters(tmp_path)]
    assert "a.csv is neither UTF-8 nor GB 18030" in whys[0]
    assert "b.xlsx is no workbook" in whys[1]


def test_a_reader_that_dies_in_a_file_goes_on_within_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = folder(tmp_path)
    drop(tmp_path, "a.csv", 0, 10)
    write = intake.write
    seen: list[int] = []

    def dies_at_second(session: Any, arrivals: Any) -> Any:
        seen.append(len(arrivals))
        if len(seen) == 2:
            raise Stop
        return write(session, arrivals)

    monkeypatch.setattr(intake, "write", dies_at_second)
    with pytest.raises(Stop):
        read_all(database, tmp_path, mapped)
    assert read_all(database, tmp_path, mapped) == (6, 6, 0, 0, 0)
    assert seen == [4, 4, 4, 2]
    assert minutes(database) == list(range(10))


def test_a_kill_between_the_commit_and_the_move_reads_nothing_twice(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = folder(tmp_path)
    path = drop(tmp_path, "a.csv", 0, 2)
    with rig.pump(database, tmp_path, mapped) as moved:

        def dies(_batch: object) -> None:
            raise Stop

        monkeypatch.setattr(moved._source, "settled", dies)
        with pytest.raises(Stop):
            moved.round()
    assert path.exists()
    assert read_all(database, tmp_path, mapped) == (0, 0, 0, 0, 0)
    assert not path.exists()


# HTTP


class Interface:
    """Readings behind `since`, some at a time; or pages by a token, newest first."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        self.page = 4
        self.body = b""
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
                outer.asked.append(query)
                body = outer.body or json.dumps(outer.answer(query)).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/reads?kind=gas"

    def answer(self, query: dict[str, str]) -> Any:
        if "page" in query or query.get("kind") == "pages":
            ordered = sorted(self.items, key=lambda one: -one["id"])
            start = int(query.get("page", 0))
            end = start + self.page
            after = str(end) if end < len(ordered) else None
            return {"data": {"items": ordered[start:end]}, "next": after}
        since = int(query.get("since", -1))
        found = sorted((one for one in self.items if one["id"] >= since), key=lambda x: x["id"])
        return {"data": {"items": found[: self.page]}}


@pytest.fixture
def interface() -> Iterator[Interface]:
    made = Interface()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(10)


REST_MAP = rig.MAP.replace('"meter"', '"device.no"').replace('"volume"', '"total"')


def rest(tmp_path: Path, url: str, more: str = "") -> Any:
    source = f'kind = "rest"\nurl = "{url}"\nitems = "data.items"\ncursor = "id"\n{more}'
    return rig.write(tmp_path, source, REST_MAP)


def item(n: int, total: object = 1.5) -> dict[str, Any]:
    return {"id": n, "device": {"no": "T1"}, "at": rig.at(n), "total": total}


def test_an_interface_is_asked_for_what_is_behind_the_cursor(
    database: Database, tmp_path: Path, interface: Interface
) -> None:
    mapped = rest(tmp_path, interface.url)
    interface.items = [item(n) for n in range(1, 11)]
    assert read_all(database, tmp_path, mapped).stored == 10
    assert interface.asked[0] == {"kind": "gas"}
    interface.items.append(item(11, "7.25"))
    assert read_all(database, tmp_path, mapped).stored == 1
    assert minutes(database) == list(range(1, 12))
    assert rig.stored(database)[-1][2] == 7250


@pytest.mark.parametrize(
    ("more", "seen"), [("", True), ("overlap = 5", True), ("overlap = 1", False)]
)
def test_an_item_that_becomes_visible_late_is_read(
    database: Database, tmp_path: Path, interface: Interface, more: str, seen: bool
) -> None:
    mapped = rest(tmp_path, interface.url, more)
    interface.items = [item(n) for n in range(1, 11) if n != 7]
    assert read_all(database, tmp_path, mapped).stored == 9
    interface.items.append(item(7))
    assert read_all(database, tmp_path, mapped).stored == int(seen)


@pytest.mark.parametrize(
    ("cursor", "said", "made"),
    [
        ("250", None, "150"), ("30", None, "0"), ("-5", None, "-5"), ("250", 0, "250"),
        ("2025-11-30T11:00:00Z", None, "2025-11-30T10:50:00Z"), ("abc", None, "abc"),
        ("2025-11-30T11:00:00Z", 0, "2025-11-30T11:00:00Z"), ("", None, ""),
    ],
)  # fmt: skip
def test_how_far_behind_an_interface_is_asked(cursor: str, said: int | None, made: str) -> None:
    from fleet.bridge.sources.rest import _behind

    assert _behind(cursor, said) == made


def test_pages_that_come_newest_first_are_read_to_their_end(
    database: Database, tmp_path: Path, interface: Interface
) -> None:
    mapped = rest(tmp_path, interface.url.replace("gas", "pages"), 'next = "next"\noverlap = 0')
    interface.items = [item(n) for n in range(1, 11)]
    assert read_all(database, tmp_path, mapped).stored == 10
    interface.items.append(item(11))
    assert read_all(database, tmp_path, mapped).stored == 1
    assert interface.asked[-1]["since"] == "10"


def test_an_order_that_would_leave_items_out_is_refused(
    database: Database, tmp_path: Path, interface: Interface
) -> None:
    mapped = rest(tmp_path, interface.url)
    interface.body = json.dumps({"data": {"items": [item(5), item(3)]}}).encode()
    with pytest.raises(BridgeError, match="another order than that of id"):
        read_all(database, tmp_path, mapped)


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (500, b"", "answered 500"), (200, b"<html>", "answered no JSON"),
        (200, b'{"data": {}}', "no list of items at 'data.items'"), (302, b"", "answered 302"),
        (200, b"[" * 100_000, "answered no JSON"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none(
    tmp_path: Path, interface: Interface, status: int, body: bytes, line: str
) -> None:
    interface.status, interface.body = status, body or b" "
    with pytest.raises((SourceGone, BridgeError), match=line):
        opening.source(rest(tmp_path, interface.url)).read("")


def test_numbers_of_json_keep_their_digits(
    database: Database, tmp_path: Path, interface: Interface
) -> None:
    mapped = rest(tmp_path, interface.url)
    body = json.dumps({"data": {"items": [item(1, 0)]}})
    interface.body = body.replace('"total": 0', '"total": 123456789012.345').encode()
    with rig.pump(database, tmp_path, mapped) as moved:
        moved.round()
    assert rig.stored(database)[0][2] == 123_456_789_012_345
