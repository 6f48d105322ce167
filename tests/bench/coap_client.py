"""The load of the CoAP benchmark: datagrams made beforehand, WINDOW of them outstanding at a time.

A process of its own, on another core than the server: `python -m tests.bench.coap_client`. It
reads datagrams from a file, sends each until its answer comes, and writes the answers. Several
sources are so many addresses, 127.0.0.2 and on, each with a window of its own.
"""

import argparse
import json
import os
import select
import socket
import sys
import time
from pathlib import Path

REPEAT_S = 2.0  # a datagram that the kernel dropped
PATIENCE_S = 30.0  # without any answer
WINDOW = 128


def write_datagrams(path: Path, datagrams: list[bytes]) -> None:
    """Length and bytes, again and again; the message IDs must differ."""
    with path.open("wb") as file:
        for raw in datagrams:
            file.write(len(raw).to_bytes(2, "big") + raw)


def read_datagrams(path: Path) -> list[bytes]:
    """What `write_datagrams` wrote."""
    raw = path.read_bytes()
    found = []
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 2], "big")
        found.append(raw[at + 2 : at + 2 + size])
        at += 2 + size
    return found


class Load:
    """Sends its datagrams from one address; `answers` by message ID."""

    def __init__(self, port: int, source: int, datagrams: list[bytes]) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((f"127.0.0.{2 + source}", 0))
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self._left = list(reversed(datagrams))
        self._out: dict[bytes, tuple[bytes, float]] = {}
        self.answers: dict[bytes, bytes] = {}
        self.repeated = 0

    @property
    def is_done(self) -> bool:
        """Whether everything is answered."""
        return not self._left and not self._out

    def work(self) -> int:
        """Take the answers that came, and fill the window; how many came."""
        count = 0
        while self._receive():
            count += 1
        self._repeat()
        while self._left and len(self._out) < WINDOW:
            self._send(self._left.pop())
        return count

    def _send(self, raw: bytes) -> None:
        self._out[raw[2:4]] = (raw, time.monotonic())
        self.sock.send(raw)

    def _receive(self) -> bool:
        try:
            answer = self.sock.recv(2048)
        except BlockingIOError:
            return False
        if self._out.pop(answer[2:4], None) is not None:
            self.answers[answer[2:4]] = answer
        return True

    def _repeat(self) -> None:
        late = time.monotonic() - REPEAT_S
        for mid, (raw, sent) in list(self._out.items()):
            if sent > late:
                break
            del self._out[mid]
            self._send(raw)
            self.repeated += 1


def run(loads: list[Load]) -> float:
    """Seconds from the first datagram to the last answer."""
    began = last = time.monotonic()
    while not all(load.is_done for load in loads):
        if sum(load.work() for load in loads):
            last = time.monotonic()
        if time.monotonic() - last > PATIENCE_S:
            raise SystemExit(f"no answer for {PATIENCE_S:.0f} s")
        select.select([load.sock for load in loads], [], [], 0.05)
    return last - began


def main() -> None:
    """Print seconds and repeats as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("datagrams", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--core", type=int)
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    datagrams = read_datagrams(given.datagrams)
    loads = [Load(given.port, n, datagrams[n :: given.sources]) for n in range(given.sources)]
    seconds = run(loads)
    write_datagrams(given.answers, [raw for load in loads for raw in load.answers.values()])
    json.dump({"seconds": seconds, "repeated": sum(load.repeated for load in loads)}, sys.stdout)


if __name__ == "__main__":
    main()
