"""What a running fleet does by itself: revocations, the revocation list, rotation, clones, alarms
that are due, and what was approved, configured or rolled out for many nodes, some at a time.

Each step is proportional to what has changed. A step that fails is tried again at the next tick
and keeps no other from its work.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from fleet.alarms import intake, overdue
from fleet.alarms import operations as alarms
from fleet.broker.errors import BrokerError
from fleet.broker.reload import reload
from fleet.clones import operations as clones
from fleet.clones.sessions import SessionWatch
from fleet.control import desired, releasing
from fleet.db.base import Database
from fleet.identity import operations as identity
from fleet.identity import rotation
from fleet.identity.authority import Authority
from fleet.identity.errors import IdentityError
from fleet.identity.revocation import RevokedSerials
from fleet.identity.wrapping import Wrapper
from fleet.legacy import strangers
from fleet.registry.operations import now_us
from fleet.releases.workshop import Workshop
from fleet.rollouts import tick as rollouts
from fleet.rollouts.queue import Queue
from fleet.settings import Settings

CRL_S = 12 * 3600.0
CRL_LOOK_S = 600.0
CRL_NEAR = timedelta(days=7)  # it is written anew each 12 h for 30 days: so near is never right
ROTATE_S = 60.0
CONFIGURE_STEPS = 3  # of a tick: some 450 nodes a second
ALARM_ROUNDS = 20  # of one tick: between them the ingest has the database
DAY_US = 86400 * 1_000_000
FORGET_S = 3600.0  # from one look for strangers of old to the next
OFFERS = 500  # of a tick: 15,000 a minute, in transactions for which reports can wait

log = structlog.get_logger("upkeep")


class Upkeep:
    """`tick` every few seconds, in a thread: it waits for the database."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        authority: Authority,
        clock: Callable[[], float] = time.monotonic,
        *,
        wrapper: Wrapper | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._authority = authority
        self._clock = clock
        self._queue = None if wrapper is None else Queue(wrapper)  # without keys no rollouts
        self.revoked = RevokedSerials()
        self.sessions = SessionWatch()
        self._workshop = Workshop(database)
        self._crl_due = self._look_due = self._rotate_due = self._forget_due = 0.0
        self._crl_wanted = self._reload_wanted = False
        self._crl_seconds: float | None = None

    def start(self) -> None:
        """Before the broker: the revoked serials and the list; what fails is raised."""
        with self._database.read() as session:
            self.revoked.refresh(session)
        self._write_crl()

    def tick(self) -> int:
        """One round; how many serials were revoked since the last."""
        fresh = self._step(self._refresh) or 0
        now = self._clock()
        if fresh or self._crl_wanted or now >= self._crl_due:
            self._crl_wanted = True
            self._step(self._write_crl)
        if self._reload_wanted:
            self._step(self._reload)
        if self._crl_wanted or now >= self._look_due:
            self._step(self._look_at_crl)
        if now >= self._rotate_due:
            self._step(self._rotate)
        if now >= self._forget_due:
            self._step(self._forget)
        self._step(self._watched)
        self._step(self._alarms_due)
        self._step(self._command)
        self._step(self._configure)
        self._step(self._roll_out)
        self._step(self._workshop.tick)
        return fresh

    def close(self) -> None:
        """End what goes on beside the ticks."""
        self._workshop.close()

    @property
    def crl_seconds(self) -> float:
        """Until brokers begin to refuse every node; 0 when the list cannot be read."""
        return self._crl_seconds or 0.0

    def open_alarms(self) -> dict[str, int]:
        """By kind."""
        with self._database.read() as session:
            return alarms.open_counts(session)

    def _step(self, step: Callable[[], int | None]) -> int | None:
        try:
            return step()
        except Exception as e:  # whatever it is: the other steps must go on
            log.error("a step failed", step=step.__name__.strip("_"), reason=repr(e)[:300])
            return None

    def _refresh(self) -> int:
        with self._database.read() as session:
            return self.revoked.refresh(session)

    def _write_crl(self) -> None:
        with self._database.read() as session:
            entries = identity.revocation_list(session)
        self._authority.write_crl(entries)
        self._crl_wanted = False
        self._crl_due = self._clock() + CRL_S
        self._look_due = 0.0
        self._reload_wanted = self._settings.reload is not None

    def _reload(self) -> None:
        if self._settings.reload is None:
            return
        try:
            reload(self._settings.reload)
        except BrokerError as e:
            with self._database.begin() as session:
                alarms.raise_alarm(session, "broker-reload", "broker", {"reason": str(e)})
            raise
        self._reload_wanted = False
        with self._database.begin() as session:
            alarms.clear(session, "broker-reload", "broker")

    def _look_at_crl(self) -> None:
        self._look_due = self._clock() + CRL_LOOK_S
        path = self._authority.crl_path
        reason = "it cannot be written" if self._crl_wanted else "it is old"
        try:
            until = self._authority.crl_next_update()
        except IdentityError:
            until, reason = datetime.fromtimestamp(0, UTC), "it is missing or damaged"
        left = until - datetime.now(UTC)
        self._crl_seconds = max(0.0, left.total_seconds())
        with self._database.begin() as session:
            if self._crl_wanted or left < CRL_NEAR:
                detail = {"path": str(path)[-500:], "until": f"{until:%Y-%m-%d}", "reason": reason}
                alarms.raise_alarm(session, "crl", path.name, {**detail})
            else:
                alarms.clear(session, "crl", path.name)

    def _rotate(self) -> None:
        within = self._settings.rotate_days * DAY_US
        with self._database.begin() as session:
            done = rotation.rotate_due(session, self._authority, within)
        if len(done) < rotation.BATCH:
            self._rotate_due = self._clock() + ROTATE_S

    def _forget(self) -> None:
        with self._database.read() as session:
            waits = strangers.waits(session, now_us())
        if not waits:
            self._forget_due = self._clock() + FORGET_S
            return
        with self._database.begin() as session:
            if not strangers.expire(session, now_us()):
                self._forget_due = self._clock() + FORGET_S

    def _alarms_due(self) -> None:
        with self._database.read() as session:
            if not intake.waits(session):
                return
        for _ in range(ALARM_ROUNDS):
            with self._database.begin() as session:
                if intake.tick(session) < overdue.MOST:
                    return

    def _command(self) -> None:
        with self._database.read() as session:
            waits = releasing.waits(session)
        if waits:
            with self._database.begin() as session:
                releasing.release(session, self._settings.limits)
                releasing.expire(session)

    def _configure(self) -> None:
        for _ in range(CONFIGURE_STEPS):  # each a short transaction: reports come in between
            with self._database.read() as session:
                if not desired.waits(session):
                    return
            with self._database.begin() as session:
                desired.step(session)

    def _roll_out(self) -> None:
        if self._queue is None:
            return
        with self._database.read() as session:
            waits = rollouts.waits(session, now_us())
        if waits:
            rollouts.tick(self._database, self._queue, now_us(), OFFERS)

    def _watched(self) -> None:
        serials, suspects = self.sessions.serials(), self.sessions.suspects()
        if not serials and not suspects:
            return
        try:
            if serials:
                self._note_use(serials)
            for each in suspects:
                with self._database.begin() as session:
                    clones.flag(session, each.node_id, "sessions", one=each.one, other=each.other)
        except Exception:  # whatever it was, what was seen must not be lost with it
            self.sessions.again(serials, suspects)
            raise

    def _note_use(self, serials: list[int]) -> None:
        with self._database.read() as session:
            news = rotation.awaited(session, serials)
        if news:  # most connections are none, and need no lock
            with self._database.begin() as session:
                rotation.used_serials(session, news)
