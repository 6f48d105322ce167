"""The fleet's side of the migration campaign, in a process that dies when it is told to."""

import os
import signal
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlalchemy import event

from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.migration import (
    audit,
    behind,
    entries,
    inventory,
    networks,
    planner,
    policy,
    rules,
    samples,
    scheduling,
    survey,
    wave_settings,
)
from fleet.migration.policy import Policy
from fleet.migration.rehearsal.server import PERSON, Server
from fleet.migration.sheets import Sheet
from fleet.migration.states import Actor
from fleet.registry.operations import now_us
from fleet.releases.signers import FileSigner
from tests.bench import migration_sabotage
from tests.bench.migration_town import AREA, RULES_AHEAD

NAME = "town"
UNANSWERED = "unanswered"  # it dies between the commit and the answer
SHEETS = {
    "tacs": (networks.TAC_COLUMNS, networks.take_tacs),
    "meters": (behind.NEEDED, behind.take),
}


class CampaignServer(Server):
    """With what goes before a programme's days, too: the inventory, the plan, the waves."""

    def do_import(self, folder: str, name: str) -> dict[str, int]:
        """A file of terminals; how many lines by outcome, and by fault."""
        sheet = Sheet(Path(folder) / f"{name}.csv", "terminals", entries.NEEDED)
        counts: Counter[str] = Counter()
        for told in inventory.bring_in(self.database, sheet):
            counts[told.outcome] += 1
            counts.update(code for code, _ in told.faults)
        return dict(counts)

    def do_sheet(self, folder: str, name: str) -> dict[str, int]:
        """Types of terminals, or meters behind DTUs."""
        needed, take = SHEETS[name]
        with self.database.begin() as session:
            taken = list(take(session, Sheet(Path(folder) / f"{name}.csv", name, needed)))
        return dict(Counter(one.outcome for one in taken))

    def do_survey(self, folder: str) -> None:
        sheet = Sheet(Path(folder) / "samples.csv", "samples", samples.NEEDED)
        for _ in samples.take(self.database, sheet, "log"):
            pass
        with self.database.begin() as session:
            survey.compute(session, AREA, rules.load().coverage)

    def do_plan(self, crews: int, limits: tuple[int, ...]) -> tuple[Any, Any]:
        """The programme, its items, their waves; its times."""
        chosen = rules.read(RULES_AHEAD + rules.DEFAULT.read_text(encoding="utf-8"))
        settings = wave_settings.WaveSettings(
            start=now_us() // 86_400_000_000 + 6, crews=crews, remote=2000, watch=1, wave_days=5,
            work="mon-sun 08:30-17:30",
        )  # fmt: skip
        with self.database.begin() as session:
            programme = planner.make(session, NAME, AREA, chosen)
            planned = planner.plan(session, programme, chosen, "en")
            made = scheduling.schedule(session, programme, settings)
            desk = self._office.desk(session, Actor.PERSON, PERSON)
            policy.keep(desk, programme.id, Policy(*limits))
        return tuple(planned), tuple(made)

    def do_open(self) -> int:
        """From now on the calls are of the programme."""
        with self.database.read() as session:
            self.programme_id = audit.find(session, NAME).id
        return self.programme_id


def serve(link: Connection, url: str, key: str, sabotage: str) -> None:
    """Answer calls until the link ends, or die before the statement that a call names: how many
    from its beginning on, 0: it lives; UNANSWERED: when what it wrote is committed.
    """
    database = Database(url)
    count, die_at = [0], [0]
    wrote = [False]

    def before(_connection: object, _cursor: object, statement: str, *_args: object) -> None:
        count[0] += 1
        wrote[0] |= statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE")
        if count[0] == die_at[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database.engine, "before_cursor_execute", before)
    migration_sabotage.apply(sabotage)
    server = CampaignServer(database, FileSigner(Path(key), None), 0)
    if _has_programme(database):
        server.do_open()
    while True:
        try:
            name, at_us, arguments, die_in = link.recv()
        except EOFError:
            return
        die_at[0] = count[0] + die_in if die_in and die_in != UNANSWERED else 0
        wrote[0] = False
        try:
            answer, error = server.call(name, at_us, *arguments), ""
        except Refusal as e:
            answer, error = None, str(e)
        if die_in == UNANSWERED and wrote[0] and not error:
            os.kill(os.getpid(), signal.SIGKILL)
        link.send((answer, error, count[0], time.process_time()))


def _has_programme(database: Database) -> bool:
    try:
        with database.read() as session:
            audit.find(session, NAME)
    except Refusal:
        return False
    return True
