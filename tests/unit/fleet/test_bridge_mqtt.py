"""Topics of somebody's broker: it keeps each message until its readings are committed."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bridge_rig as rig
import paho.mqtt.client as mqtt
import pytest
from ledger_rig import Stop
from paho.mqtt.enums import CallbackAPIVersion

from fleet.bridge import opening, pump
from fleet.bridge.errors import SourceGone
from fleet.bridge.sources import mqtt as mqtt_source
from fleet.db.base import Database
from fleet.legacy import intake
from hil.fleet_process import die_with_parent
from tests.bench.mosquitto_process import binary, free_port

RULES = """
[map]
terminal = "topic.meter"
time = "at"
[[map.values]]
column = "reads.volume"
quantity = "gas_volume"
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(rig.open_fleet(tmp_path)) as opened:
        yield opened


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Of a Mosquitto that lets everybody in."""
    chosen = free_port()
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(f"listener {chosen} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    process = subprocess.Popen(
        [binary(), "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )  # fmt: skip
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", chosen), 1):
            break
        time.sleep(0.02)
    yield chosen
    process.kill()
    process.wait()


def mapping(folder: Path, port: int, more: str = "") -> Any:
    source = f'kind = "mqtt"\nhost = "127.0.0.1"\nport = {port}\ntls = false\nbatch = 4\n{more}'
    return rig.write(folder, f'{source}\ntopics = "gas/+/{{meter}}/up"', RULES)


def publish(port: int, *messages: tuple[str, object]) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic, said in messages:
        body = said if isinstance(said, str) else json.dumps(said)
        client.publish(topic, body, qos=1).wait_for_publish(30)
    client.disconnect()
    client.loop_stop()


def up(n: int) -> tuple[str, object]:
    return (f"gas/tianhe/T{n % 5 + 1}/up", {"at": rig.at(n), "reads": {"volume": n}})


def until_it_dies(made: pump.Pump) -> None:
    for _ in range(100):
        try:
            made.round()
        except Stop:
            return
    pytest.fail("no message came")


def rounds(made: pump.Pump, database: Database, count: int) -> None:
    end = time.monotonic() + 60
    while len(rig.stored(database)) < count and time.monotonic() < end:
        made.round()


def test_what_is_not_committed_comes_again_and_what_came_while_we_were_away(
    database: Database, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = mapping(tmp_path, port)
    with rig.pump(database, tmp_path, mapped) as made:
        made.round()  # subscribes; from now on the broker keeps what comes
        publish(port, *(up(n) for n in range(3)), ("gas/tianhe/T1/up", "no JSON"))

        def dies(*_: object) -> Any:
            raise Stop

        with monkeypatch.context() as patched:
            patched.setattr(intake, "write", dies)
            until_it_dies(made)
    assert rig.stored(database) == []
    publish(port, *(up(n) for n in range(3, 8)))
    with rig.pump(database, tmp_path, mapped) as made:
        rounds(made, database, 8)
    assert [us for _, us, _ in sorted(rig.stored(database), key=lambda row: row[1])] == [
        rig.us(n) for n in range(8)
    ]
    (letter,) = rig.letters(tmp_path)
    assert letter["why"] == "the message is no JSON"
    assert letter["cells"]["topic.meter"] == "T1"


def test_sabotage_an_acknowledgement_before_the_commit_loses_messages(
    database: Database, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = mapping(tmp_path, port)
    with rig.pump(database, tmp_path, mapped) as made:
        made.round()
        publish(port, *(up(n) for n in range(3)))
        source: Any = made._source
        read = source.read

        def hasty(cursor: str) -> Any:
            batch = read(cursor)
            source.settled(batch)
            return batch

        def dies(*_: object) -> Any:
            raise Stop

        with monkeypatch.context() as patched:
            patched.setattr(source, "read", hasty)
            patched.setattr(intake, "write", dies)
            until_it_dies(made)
    with rig.pump(database, tmp_path, mapped) as made:
        for _ in range(3):
            made.round()
    assert len(rig.stored(database)) < 3


def arrives(source: Any, number: int, payload: bytes) -> None:
    """As the client of a broker calls."""
    message = mqtt.MQTTMessage(number, b"gas/tianhe/T1/up")
    message.payload, message.qos = payload, 1
    source._on_message(source._client, None, message)


def test_of_a_message_that_is_too_large_only_what_is_shown_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Any = opening.source(mapping(tmp_path, 1))
    monkeypatch.setattr(made, "_start", lambda: None)
    arrives(made, 1, b"x" * 50_000_000)
    (held,) = made._waiting.queue
    assert len(held.payload) == 4000
    (bad,) = made.read("").bad
    assert bad.why == "a message of 50000000 bytes"


def test_messages_wait_at_the_broker_while_many_bytes_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Any = opening.source(mapping(tmp_path, 1))
    monkeypatch.setattr(made, "_start", lambda: None)

    def come() -> None:
        for number in range(40):
            arrives(made, number, b" " * 999_000)

    client = threading.Thread(target=come, daemon=True)
    client.start()
    read = most = 0
    while read < 40:
        batch = made.read("")
        read += len(batch.bad)
        most = max(most, made._bytes)
        made.settled(batch)
    client.join(30)
    assert read == 40
    assert 4_000_000 < most <= mqtt_source.WINDOW_BYTES
    assert made._bytes == 0


def test_a_broker_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    source = opening.source(mapping(tmp_path, free_port()))
    with pytest.raises(SourceGone, match="cannot be reached"):
        source.read("")
    source.close()


def test_a_look_leaves_messages_to_the_bridge(
    database: Database, tmp_path: Path, port: int
) -> None:
    mapped = mapping(tmp_path, port)
    with rig.pump(database, tmp_path, mapped) as made:
        made.round()
    publish(port, up(1))
    with contextlib.closing(opening.to_look_at(mapped, 5)) as source:
        source.read("")
    with rig.pump(database, tmp_path, mapped) as made:
        rounds(made, database, 1)
    assert len(rig.stored(database)) == 1
