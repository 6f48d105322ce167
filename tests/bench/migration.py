"""The migration campaign: a town's terminals from CSV to decommissioned, in fast time, while the
fleet's process is killed at random SQL statements and items are rolled back.

`make soak-migration`; ARGS="--terminals 1000 --kills 20". Exit code 1 unless every reading and
every bill is what the simulation's truth says, to the last digit.
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from fleet.db.base import Database
from fleet.db.models import Base
from fleet.errors import Refusal
from fleet.migration.evidence import key_id
from fleet.migration.policy import DAY_S, Policy
from fleet.migration.rehearsal.chances import Chances
from fleet.migration.rehearsal.run import Rehearsal, Rehearsed
from fleet.registry import operations as registry
from fleet.releases import signers
from tests.bench import migration_server, migration_town
from tests.bench.migration_sabotage import NAMES, NONE
from tests.bench.migration_town import AREA, Town

LIMITS = Policy(dual_s=2 * DAY_S, compared=2, gap_s=2 * DAY_S, rollback_s=7 * DAY_S)
STATEMENTS = 85  # that one terminal takes in all, about: the first guess for the kills
# How far an item is, of its whole way, by its state.
FAR = {
    "ready": 0.2, "installed": 0.4, "parity": 0.4, "cut_over": 0.6, "settled": 0.8,
    "rolled_back": 0.3, "decommissioned": 1.0,
}  # fmt: skip
CORRECTED = 3  # days until the list is corrected


class Result(NamedTuple):
    """What a campaign came to."""

    rehearsed: Rehearsed
    kills: int
    unanswered: int  # of them between a commit and its answer
    imported: dict[str, int]
    bad: dict[str, int]
    rollbacks: int
    statements: int
    seconds: int
    cpu: dict[str, int]  # ms by call; `world`: the simulation's own

    @property
    def is_well(self) -> bool:
        """Whether all of it is as the truth says, and everything ended."""
        states = self.rehearsed.states
        moved = states.get("decommissioned", 0) == self.rehearsed.moved
        return self.rehearsed.is_well and moved


class Killed:
    """The fleet's side, in a process that dies `kills` times on the way, every second time when
    all is committed and nobody knows; what it was doing then is asked of the next one again.
    """

    def __init__(self, url: str, key: Path, kills: int, guess: int, sabotage: str, seed: int):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.bench.migration_server"])
        self._url, self._key, self._sabotage = url, key, sabotage
        chance = random.Random(seed)
        # Where in the whole each death is to be; and at which statement from there on.
        self._deaths = sorted(chance.uniform(0, 0.95) for _ in range(kills))
        self._chance, self._guess = chance, guess
        self._die_in: int | str = 0
        self.unanswered = 0
        self.kills = self.statements = self._seen = 0
        self._cpu = 0.0
        self.by_call: Counter[str] = Counter()  # s of its processor, by what was asked
        self.progress = 0.0  # of the whole, as far as is known
        self._link: Connection | None = None
        self._process: Any = None

    def call(self, name: str, at_us: int, *arguments: Any) -> Any:
        """Until it is answered."""
        while True:
            if self._link is None:
                self._start()
            assert self._link is not None
            try:
                self._link.send((name, at_us, arguments, self._due()))
                answer, error, count, cpu = self._link.recv()
            except (EOFError, ConnectionError):
                self._died()
                continue
            done = count - self._seen
            self.statements += done
            if isinstance(self._die_in, int) and self._die_in:
                self._die_in = max(1, self._die_in - done)
            self.by_call[name] += cpu - self._cpu
            self._seen, self._cpu = count, cpu
            if error:
                raise Refusal(error)
            return answer

    def close(self) -> None:
        """End the process."""
        if self._link is not None:
            self._link.close()
            self._process.join(30)

    def _start(self) -> None:
        mine, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=migration_server.serve,
            args=(theirs, self._url, str(self._key), self._sabotage),
            daemon=True,
        )  # fmt: skip
        self._process.start()
        theirs.close()
        self._link, self._seen, self._cpu = mine, 0, 0.0

    def _due(self) -> int | str:
        """In how many statements it is to die, 0: not in this call; or when it has committed."""
        if self._die_in or not self._deaths:
            return self._die_in
        known = self.progress > 0.1
        whole = self.statements / self.progress if known else float(self._guess)
        if self.statements >= self._deaths[0] * whole:
            self._deaths.pop(0)
            late = len(self._deaths) % 2 == 0
            self._die_in = migration_server.UNANSWERED if late else self._chance.randint(1, 60)
        return self._die_in

    def _died(self) -> None:
        self._process.join(30)
        if self._process.exitcode != -9:
            raise RuntimeError(f"the server ended with {self._process.exitcode}")
        assert self._link is not None
        self._link.close()
        self._link = None
        self.kills += 1
        self.unanswered += self._die_in == migration_server.UNANSWERED
        self._die_in = 0


def run(
    folder: Path, terminals: int, kills: int, rollbacks: int, *, seed: int = 1,
    crews: int = 0, sabotage: str = NONE, say: bool = False, url: str = "",
) -> Result:  # fmt: skip
    """One campaign in a folder; `url`: a database whose tables are made, else SQLite there."""
    begin = time.monotonic()
    key = folder / "evidence.key"
    database = Database(url or f"sqlite:///{folder / 'kapok.db'}")
    if not url:
        Base.metadata.create_all(database.engine)
    with database.begin() as session:
        registry.add_area(session, AREA, "Tianhe")
    signers.generate(key, None)
    town = migration_town.make(terminals, seed)
    migration_town.write_all(folder, town)
    server = Killed(str(database.engine.url), key, kills, STATEMENTS * terminals, sabotage, seed)
    try:
        imported = _before(server, folder, terminals, crews, say)
        chances = Chances(seed=seed, rollbacks=rollbacks)
        with database.read() as session:
            bound = _items_of(session, town.bad["sim-bound"])
        rehearsal = Rehearsal(
            database, migration_server.NAME, chances, server.call, bound, town.identities
        )
        items = len(rehearsal.play.moving)

        def on_day(day: int, found: Counter[str]) -> None:
            number = day - rehearsal.first_day
            far = sum(share * found[state] for state, share in FAR.items())
            server.progress = max(server.progress, 0.02 + 0.96 * far / items)
            if number == CORRECTED:
                _correct(server, folder, town, day)
            if say:
                told = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
                seconds = int(time.monotonic() - begin)
                print(f"{seconds:5d} s  day {number}: {told}; {server.kills} kills", flush=True)

        modulus = signers.FileSigner(key, None).modulus
        rehearsed = rehearsal.run({key_id(modulus): modulus}, on_day)
    finally:
        server.close()
        database.close()
    return Result(
        rehearsed, server.kills, server.unanswered, imported,
        {name: len(those) for name, those in town.bad.items()},
        sum(rehearsed.rolled_back.values()), server.statements, int(time.monotonic() - begin),
        {name: round(s * 1000) for name, s in server.by_call.most_common()}
        | {"world": round(time.process_time() * 1000)},
    )  # fmt: skip


def _before(server: Killed, folder: Path, terminals: int, crews: int, say: bool) -> dict[str, int]:
    """From the files to the waves."""
    where = str(folder)
    server.call("sheet", 0, where, "tacs")
    imported: dict[str, int] = server.call("import", 0, where, "terminals")
    meters = server.call("sheet", 0, where, "meters")
    server.call("survey", 0, where)
    several = crews or max(2, terminals // 150)
    planned, made = server.call("plan", 0, several, tuple(LIMITS))
    server.call("open", 0)
    server.progress = 0.02
    if say:
        print(f"imported {imported}, meters {meters}, planned {planned}, waves {made}", flush=True)
    return imported


def _correct(server: Killed, folder: Path, town: Town, day: int) -> None:
    """The utility sends the lines that were wrong again; what was kept of strangers is theirs."""
    at_us = day * DAY_S * 1_000_000
    server.call("import", at_us, str(folder), "corrected")
    sources = [("imei", town.identities[line["terminal"]]) for line in town.corrected]
    server.call("kept", at_us, sources)


def _items_of(session: Any, numbers: list[str]) -> list[int]:
    from sqlalchemy import select

    from fleet.migration.inventory_tables import LegacyTerminal
    from fleet.migration.tables import MigrationItem

    return list(
        session.scalars(
            select(MigrationItem.id)
            .join(LegacyTerminal, LegacyTerminal.terminal_id == MigrationItem.old_terminal_id)
            .where(LegacyTerminal.number.in_(numbers))
        )
    )


def tell(result: Result) -> str:
    """For people."""
    found, proof = result.rehearsed, result.rehearsed.verdict
    lines = [
        (
            f"{found.items} terminals, {found.moved} of them move, {found.days} days in "
            f"{result.seconds} s; {result.kills} kills ({result.unanswered} unanswered) in "
            f"{result.statements} statements, "
            f"{result.rollbacks} rollbacks {dict(found.rolled_back)}"
        ),
        f"bad lines {result.bad}, imported {result.imported}",
        f"states {dict(found.states)}, stuck {found.stuck}",
        (
            f"readings: {proof.told} told, {proof.stored} stored, {proof.lost} lost, "
            f"{proof.twice} twice, {proof.altered} altered, {proof.kept} kept, "
            f"{proof.conflicts} conflicts"
        ),
        (
            f"bills: {proof.lines} lines of {proof.registers} registers, {proof.billed} billed, "
            f"{len(proof.less)} less, {len(proof.more)} more, {proof.ahead} ahead, estimated "
            f"{dict(proof.estimated)}, longest gap {proof.longest_gap_us // 3_600_000_000} h"
        ),
        f"wrong {[*proof.less[:3], *proof.more[:3]]}",
        (
            f"cells {len(found.cells)} overloaded, crews {len(found.crews)} days overloaded, "
            f"{len(found.late)} late"
        ),
        f"refused {json.dumps(dict(Counter(found.refused).most_common(12)))}",
        f"processor, ms: {result.cpu}",
        f"audit: {found.breach or 'clean'}",
    ]
    return "\n".join(lines)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--terminals", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rollbacks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crews", type=int, default=0)
    parser.add_argument("--sabotage", choices=NAMES, default=NONE)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kapok-migration-") as folder:
        result = run(
            Path(folder), chosen.terminals, chosen.kills, chosen.rollbacks, seed=chosen.seed,
            crews=chosen.crews, sabotage=chosen.sabotage, say=True,
        )  # fmt: skip
    print(tell(result))
    good = result.is_well and result.kills == chosen.kills
    return 0 if good and result.rollbacks >= chosen.rollbacks else 1


if __name__ == "__main__":
    sys.exit(main())
