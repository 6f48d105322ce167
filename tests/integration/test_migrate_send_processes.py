"""`kapok migrate send` and `kapok legacy serve` as processes, and a box at the other end."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import migration_rig
import pytest
import send_rig as rig

from hil.fleet_process import die_with_parent

WAIT_S = 60.0
STEPS = [
    b'AT+CGDCONT=1,"IP","cmnbiot"\r\n', b'AT+QCFG="iotopmode",1,1\r\n',
    b'AT+QCFG="nwscanmode",3,1\r\n',
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rig.make(tmp_path_factory.mktemp("made") / "data", by_connection=3)


def kapok(data: Path, *words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fleet", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent,  # noqa: PLW1509
        env={**os.environ, "KAPOK_DATA": str(data)},
    )  # fmt: skip


@contextmanager
def serving(data: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The server, and its port for boxes."""
    ports = ("--hj212-port", "off", "--sl651-port", "off", "--dtu-port", 0)
    process = kapok(data, "legacy", "serve", *ports, "--json")
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())["dtu_port"]
    finally:
        process.kill()
        process.communicate()


@contextmanager
def box(port: int, n: int) -> Iterator[socket.socket]:
    """One that has said who it is."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(WAIT_S)
        sock.sendall(migration_rig.imei(n, next(iter(rig.TACS))).encode() + b"\r\n")
        yield sock


def send(data: Path, n: int, wait_s: int = 60) -> subprocess.Popen[bytes]:
    return kapok(
        data, "migrate", "send", rig.PROGRAMME, "--terminal", f"T{n}", "--apn", "cmnbiot",
        "--wait", wait_s,
    )  # fmt: skip


def ended(process: subprocess.Popen[bytes]) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, out.decode().splitlines(), err.decode()


def test_one_does_all_one_refuses_and_one_is_not_there(data: Path) -> None:
    with serving(data) as (_, port), box(port, 1) as one, box(port, 2) as two:
        commands = send(data, 1), send(data, 2), send(data, 3, 2)
        assert two.recv(200) == STEPS[0]
        two.sendall(STEPS[0] + b"\r\n+CME ERROR: 50\r\n")
        for step in STEPS:
            assert one.recv(200) == step
            one.sendall(b"PING\r\nOK\r\n" if step is STEPS[1] else b"\r\nOK\r\n")
        done, refused, absent = (ended(command) for command in commands)
        two.settimeout(0.1)
        with pytest.raises(TimeoutError):
            two.recv(200)
    code, lines, err = done
    assert (code, err) == (0, "")
    assert lines[:3] == [f"connection: {step.decode().rstrip()}  -> OK" for step in STEPS]
    assert lines[3].startswith("3 of 3 steps answered as expected; next: kapok migrate work done ")
    code, lines, err = refused
    assert (code, len(lines)) == (1, 1)
    assert err.count("\n") == 1
    assert "step 1 of 3" in err
    assert "+CME ERROR: 50'; nothing more was sent: kapok migrate send" in err
    assert err.endswith("--terminal T2 --back takes it back\n")
    code, lines, err = absent
    assert (code, err.count("\n")) == (1, 1)
    assert "not connected to kapok legacy serve" in err


def test_a_server_that_dies_before_the_answer_leaves_it_unknown_and_sends_it_never_again(
    data: Path,
) -> None:
    with serving(data) as (process, port), box(port, 3) as sock:
        command = send(data, 3, 10)
        assert sock.recv(200) == STEPS[0]
        process.kill()
        process.wait()
        with serving(data) as (_, again), box(again, 3) as other:
            code, _, err = ended(command)
            assert code == 1
            assert "its end is unknown" in err
            other.settimeout(2.5)  # longer than the server looks
            with pytest.raises(TimeoutError):
                other.recv(200)
    with closing(sqlite3.connect(data / "kapok.db")) as connection:
        (state,) = connection.execute(
            "SELECT state FROM legacy_orders ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert state == "unknown"
