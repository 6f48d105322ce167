"""Reports a second that one core commits over CoAP with OSCORE: `make bench-coap`.

`kapok coap --workers 1` on one core, as it is, with its database on disk; the nodes on another,
their datagrams sealed beforehand. Each answer is opened, each reading counted. In the same run,
on the same core and by the same load: aiocoap as it comes, which answers an empty 2.04, without
OSCORE and without a database.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import coap_rig
import fleet_rig

from fleet.setup import init
from tests.bench.coap_client import read_datagrams, write_datagrams

SERVER_CORE, CLIENT_CORE = 0, 1
# Windows of 128 outstanding requests, as many as suit each: a commit waits 20 ms for company, and
# aiocoap's socket loses what is more than 200.
OURS, PLAIN = 8, 1
ROUNDS = 3  # each of both, in turn: the machine's other work hits both


def sealed(nodes: list[coap_rig.Node], first: int, count: int) -> list[tuple[bytes, int, object]]:
    """`count` reports of one reading in turn: datagram, node's place, what opens its answer."""
    made = []
    for n in range(first, first + count):
        place = n % len(nodes)
        raw, request = nodes[place].seal(fleet_rig.make_report(1, [1 + n // len(nodes)]))
        made.append((raw, place, request))
    return made


@contextmanager
def process(*words: str, **environment: str) -> Iterator[str]:
    """A program on the server's core, until the block ends; gives its first line."""
    started = subprocess.Popen(
        [sys.executable, "-m", *words],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),  # noqa: PLW1509
    )
    assert started.stdout is not None
    try:
        yield started.stdout.readline()
    finally:
        started.terminate()
        started.wait(30)
        started.stdout.close()


def measured(
    folder: Path, port: int, datagrams: list[bytes], sources: int
) -> tuple[float, int, list[bytes]]:
    """Requests a second, how many were repeated, and the answers."""
    here, there = folder / "datagrams", folder / "answers"
    write_datagrams(here, datagrams)
    words = ["tests.bench.coap_client", str(port), str(here), str(there)]
    done = subprocess.run(
        [sys.executable, "-m", *words, "--core", str(CLIENT_CORE), "--sources", str(sources)],
        stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    return len(datagrams) / told["seconds"], told["repeated"], read_datagrams(there)


def of_kapok(folder: Path, nodes: list[coap_rig.Node], first: int, count: int) -> float:
    """Reports a second committed; every answer must open and say that all is committed."""
    made = sealed(nodes, first, count)
    data = folder / "data"
    with process("fleet", "coap", "--port", "0", "--json", KAPOK_DATA=str(data)) as line:
        port = json.loads(line)["coap_port"]
        rate, repeated, answers = measured(folder, port, [raw for raw, _, _ in made], OURS)
    by_mid = {raw[2:4]: raw for raw in answers}
    for raw, place, request in made:
        answer = nodes[place].open(by_mid[raw[2:4]], request)
        if str(answer.code) != "2.04 Changed" or answer.payload:
            raise SystemExit(f"a report was answered by {answer}")
    if repeated:
        print(f"  ({repeated} datagrams were lost in the kernel and repeated)")
    return rate


def of_aiocoap(folder: Path, count: int) -> float:
    """Requests a second, of the same size as a report's."""
    datagrams = [b"\x40\x02" + n.to_bytes(2, "big") + b"\xff" + bytes(45) for n in range(count)]
    with process("tests.bench.coap_plain") as line:
        return measured(folder, int(line), datagrams, PLAIN)[0]


def main() -> None:
    """Print both and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--reports", type=int, default=10_000, help="of each round")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kapok-bench-") as name:
        folder = Path(name)
        init(folder / "data")
        nodes = coap_rig.provision(folder / "data", given.nodes)
        ours, plain = [], []
        for turn in range(ROUNDS):
            plain.append(of_aiocoap(folder, given.reports))
            ours.append(of_kapok(folder, nodes, turn * given.reports, given.reports))
            print(
                f"round {turn + 1}: {ours[-1]:,.0f} reports/s committed;"
                f" aiocoap without OSCORE and database {plain[-1]:,.0f} requests/s"
            )
        stored = fleet_rig.stored(folder / "data" / "kapok.db")
    expected = ROUNDS * given.reports
    if len(stored) != expected or set(stored.values()) != {1}:
        raise SystemExit(f"{len(stored)} of {expected} reports are stored once")
    best, beside = max(ours), max(plain)
    print(
        f"CoAP + OSCORE + commit, one core, {given.nodes} nodes: {best:,.0f} reports/s; aiocoap"
        f" alone {beside:,.0f}/s; ratio {best / beside:.2f}; {expected} of {expected} stored once"
    )


if __name__ == "__main__":
    main()
