"""`make soak-claims`: a token for one board, redeemed by a hundred at once, many times over.

Processes with several threads each redeem on one database; a process is killed now and then.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "cpython"))

import fleet_rig as rig
from coap_rig import WRAPPER
from enrol_rig import NODE_TYPE, EnrolFleet

from fleet.db.base import Database
from fleet.enrol import claims
from fleet.enrol.types import roles
from fleet.identity import token_text, tokens
from fleet.identity.authority import Authority
from fleet.identity.client import make_key_and_csr

PROCESSES, THREADS = 4, 25


def contender(folder: Path, number: int, orders: Any, answers: Any) -> None:
    """A process: for each token that comes, THREADS boards redeem it together."""
    authority = Authority.load(folder / "pki")
    nodes = [f"{number}{place:02d}0000000"[:10] for place in range(THREADS)]
    turns = threading.Semaphore(2)  # SQLite lets waiting writers sleep
    requests = [(n, *(make_key_and_csr(n)[1].decode() for _ in range(2))) for n in nodes]
    with closing(Database(f"sqlite:///{folder / 'kapok.db'}")) as database:
        answers.put((number, "ready", 0))
        while (order := orders.get()) is not None:
            token, at, doomed = order
            secret = token_text.decode(token).secret
            won: list[str] = []

            def one(
                request: tuple[str, str, str], secret: bytes = secret, won: list[str] = won
            ) -> None:
                node, csr, spare = request
                try:
                    with turns, database.begin() as session:
                        claims.claim(
                            session, authority, WRAPPER, roles(), secret, node_id=node,
                            node_type=NODE_TYPE, csr=csr, spare_csr=spare, policy="keep-identity",
                        )  # fmt: skip
                except tokens.TokenSpent:
                    return
                won.append(node)

            threads = [threading.Thread(target=one, args=(request,)) for request in requests]
            time.sleep(max(0.0, at - time.time()))
            for thread in threads:
                thread.start()
            if doomed:
                time.sleep(doomed)
                os.kill(os.getpid(), signal.SIGKILL)
            for thread in threads:
                thread.join()
            answers.put((number, "won", len(won)))


class Contenders:
    """The processes, replaced when they were killed."""

    def __init__(self, folder: Path) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._folder = folder
        self._answers = self._context.Queue()
        self._orders: list[Any] = [None] * PROCESSES
        self._processes: list[Any] = [None] * PROCESSES
        for number in range(PROCESSES):
            self._start(number)
        for _ in range(PROCESSES):
            self._answers.get(timeout=120)

    def _start(self, number: int) -> None:
        self._orders[number] = self._context.Queue()
        process = self._context.Process(
            target=contender,
            args=(self._folder, number + 1, self._orders[number], self._answers),
            daemon=True,
        )
        process.start()
        self._processes[number] = process

    def round(self, token: str, doomed: float) -> int:
        """How many won; `doomed`: the last process is killed so many seconds after the start."""
        at = time.time() + 0.02
        for number, orders in enumerate(self._orders):
            orders.put((token, at, doomed if number == PROCESSES - 1 else 0.0))
        expected = PROCESSES - bool(doomed)
        won = sum(int(self._answers.get(timeout=120)[2]) for _ in range(expected))
        if doomed:
            self._processes[-1].join()
            self._start(PROCESSES - 1)
            self._answers.get(timeout=120)
        return won

    def close(self) -> None:
        """End them."""
        for orders in self._orders:
            orders.put(None)
        for process in self._processes:
            process.join(30)


def main() -> int:
    """Exit code 1 unless every round had exactly one winner."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    wrong = winners = kills = 0
    with tempfile.TemporaryDirectory() as name:
        fleet = EnrolFleet(Path(name))
        contenders = Contenders(fleet.folder)
        for number in range(rounds):
            token = fleet.token(1)
            doomed = 0.001 * (number % 37) if number % 10 == 9 else 0.0
            kills += bool(doomed)
            contenders.round(token, doomed)
            # By the database: whoever was killed could not say that it had won.
            ((used,), (claimed,)) = (
                rig.query(fleet.folder / "kapok.db", statement)[0]
                for statement in (
                    "SELECT used FROM claim_tokens ORDER BY id DESC LIMIT 1",
                    """SELECT count(*) FROM token_claims
                    WHERE token_id = (SELECT max(id) FROM claim_tokens)""",
                )
            )
            winners += claimed
            wrong += (used, claimed) != (1, 1)
        contenders.close()
        fleet.close()
    print(f"rounds {rounds} winners {winners} kills {kills}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
