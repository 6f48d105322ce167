"""kill -9 of the listeners: whatever was answered is stored."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import legacy_process
import legacy_rig as rig

from hil.fleet_process import die_with_parent

_ENOUGH = 50  # answers before the kill; 64 frames of a connection may wait for the commit


def answered_and_stored(folder: Path, *words: str) -> tuple[int, int]:
    """Flood, kill amid it; how many frames were answered, and how many are in the database."""
    with rig.city(folder):
        pass
    path = folder / "kapok.db"
    here = Path(legacy_process.__file__)
    paths = os.pathsep.join([str(here.parents[2]), str(here.parent)])
    process = subprocess.Popen(
        [sys.executable, str(here), str(path), *words],
        stdout=subprocess.PIPE, preexec_fn=die_with_parent,  # noqa: PLW1509
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        port = json.loads(process.stdout.readline())["hj212_port"]
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.settimeout(rig.WAIT_S)
            answers = b""
            sent = 0
            while answers.count(b"CN=9014") < _ENOUGH:
                sock.sendall(b"".join(rig.packet(minute) for minute in range(sent, sent + 20)))
                sent += 20
                answers += sock.recv(65536)
            process.kill()
            process.wait()
            try:
                while more := sock.recv(65536):
                    answers += more
            except OSError:
                pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with closing(sqlite3.connect(path)) as connection:
        (stored,) = connection.execute("SELECT count(*) FROM readings").fetchone()
    return answers.count(b"CN=9014"), stored


def test_what_was_answered_is_stored(tmp_path: Path) -> None:
    answered, stored = answered_and_stored(tmp_path)
    assert _ENOUGH <= answered <= stored


def test_sabotage_who_answers_before_the_commit_loses_readings(tmp_path: Path) -> None:
    answered, stored = answered_and_stored(tmp_path, "hasty")
    assert answered >= _ENOUGH
    assert stored < answered
