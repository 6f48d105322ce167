"""A rehearsal of a fleet's programme in this process, on a copy that is thrown away."""

import tempfile
from pathlib import Path

from sqlalchemy import URL

from fleet.db.base import Database
from fleet.migration import audit, policy
from fleet.migration.desk import Office
from fleet.migration.evidence import key_id
from fleet.migration.rehearsal.chances import NOTHING, Chances
from fleet.migration.rehearsal.copying import copy
from fleet.migration.rehearsal.run import Rehearsal, Rehearsed
from fleet.migration.rehearsal.server import Server
from fleet.migration.states import Actor
from fleet.releases import signers

_ONE_OF = 50  # items that are rolled back


def rehearse_copy(
    database: Database, name: str, *, seed: int, rollbacks: int | None, calm: bool
) -> Rehearsed:
    """Play a programme of `database`, which stays as it is. LedgerError where there is none, or
    where it has no waves.
    """
    with tempfile.TemporaryDirectory(prefix="kapok-rehearsal-") as folder:
        own = Database(URL.create("sqlite", database=str(Path(folder) / "rehearsal.db")))
        try:
            copy(database, own, name)
            key = Path(folder) / "evidence.key"
            signers.generate(key, None)
            signer = signers.FileSigner(key, None)
            with own.begin() as session:
                programme_id = audit.find(session, name).id
                desk = Office(own, signer).desk(session, Actor.FLEET)
                # The copy has no evidence; its times are on record from the beginning.
                policy.keep(desk, programme_id, policy.of(session, programme_id))
            server = Server(own, signer, programme_id)
            chances = (NOTHING if calm else Chances())._replace(seed=seed)
            rehearsal = Rehearsal(own, name, chances, server.call)
            able = len(rehearsal.play.moving) // _ONE_OF
            wanted = able if rollbacks is None else rollbacks
            rehearsal.play.choose(0 if calm and rollbacks is None else wanted)
            return rehearsal.run({key_id(signer.modulus): signer.modulus})
        finally:
            own.close()
