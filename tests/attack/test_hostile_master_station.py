"""A master station, a file and a platform are other people's: none of them may harm the fleet."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import bridge_rig as rig
import pytest

from fleet.alarms.delivery import DeliveryError
from fleet.bridge import documents, fetch, keys, opening
from fleet.bridge.errors import BridgeError, MappingFault, SourceGone
from fleet.bridge.north import forwarder, targets
from fleet.bridge.north.frames import MOST_GARBAGE, Line
from fleet.bridge.rows import MOST_CELLS


@contextlib.contextmanager
def answering(*pieces: bytes) -> Iterator[int]:
    """A server that sends these to whoever connects, and then says nothing."""
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(1)
                    for piece in pieces:
                        connection.sendall(piece)
                    over.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        over.set()
        listener.shutdown(socket.SHUT_RDWR)


def test_attack_a_table_name_is_no_statement(tmp_path: Path) -> None:
    with contextlib.closing(rig.Station(tmp_path)) as station:
        station.add((1, "T1", 1, "1"))
        for name in ("reads; DROP TABLE reads", 'reads" --', "reads WHERE 1=1"):
            source = rig.table(station).replace('"reads"', json.dumps(name))
            with pytest.raises(BridgeError, match="no table or view"):
                opening.source(rig.write(tmp_path, source)).read("")
        found = opening.source(rig.write(tmp_path, rig.table(station)))
        assert len(found.read("").rows) == 1
        found.close()


def test_attack_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MOST_BYTES", 1000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"
    with answering(head, b"[" * 2000) as port, pytest.raises(SourceGone, match="over 1000 bytes"):
        fetch.document(f"http://127.0.0.1:{port}/", {}, None)


def test_attack_an_answer_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "WHOLE_S", 0.3)
    with answering(b"HTTP/1.1 200 OK\r\n") as port, pytest.raises(SourceGone, match="in time"):
        fetch.document(f"http://127.0.0.1:{port}/", {}, None)


def test_attack_a_header_in_a_url() -> None:
    for url in ("http://host/\r\nX: y", "http://user:pw@host/", "file:///etc/passwd", "http://"):
        assert fetch.check(url) is None


def test_attack_a_document_of_a_million_cells() -> None:
    flat = documents.cells({"list": list(range(100_000)), "deep": [[[[[[[[[1]]]]]]]]]})
    assert len(flat) <= MOST_CELLS
    assert documents.at(json.loads("[1]"), "9" * 400) is None


def test_attack_a_file_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    secret = tmp_path / "secret.csv"
    secret.write_text("meter,at,volume\nT1,2026-11-30,1\n")
    (tmp_path / "drop" / "a.csv").symlink_to(secret)
    source = rig.write(tmp_path, 'kind = "folder"\npath = "drop"\nquiet_s = 0')
    batch = opening.source(source).read("")
    assert (batch.rows, batch.is_last) == ([], True)
    assert secret.exists()


def test_attack_a_platform_that_sends_what_is_no_frame(tmp_path: Path) -> None:
    (tmp_path / "k.toml").write_text(
        'host = "127.0.0.1"\nport = PORT\nanswer_s = 300\nrepeats = 20\n'
    )
    with answering(b"##9999" * (MOST_GARBAGE // 3)) as port:
        path = tmp_path / "k.toml"
        path.write_text(path.read_text().replace("PORT", str(port)))
        target = tmp_path / "t.toml"
        target.write_text(
            f'name = "b"\nkind = "hj212"\n[platform]\nhost = "127.0.0.1"\nport = {port}\n'
            'st = "21"\npassword = "1"\n[[stations]]\nasset = "M1"\nmn = "1"\n'
            '[[values]]\nquantity = "level"\nfactor = "w00000"\nunit = "m"\n'
        )
        made, _ = forwarder.connect(targets.read(target))
        line = Line(keys.load(path), made)  # type: ignore[arg-type]
        with pytest.raises(DeliveryError, match="sends no frames"):
            line.deliver(b"##0000\r\n")
        made.close()


def test_attack_a_mapping_that_is_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    for text in ("a = " + "[" * 100_000, "name = 1e999999", "\x00", "name = '" + "x" * 10**6):
        path.write_text(text)
        with pytest.raises(MappingFault) as refused:
            keys.load(path).text("name")
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 400
