"""Sends what the outbox holds: at least once, in order, each channel by itself.

What a channel took is marked afterwards, so a process that is killed in between sends it again
under the same delivery number. A channel that fails is left alone for longer and longer; the
others go on. There is one sender in a data folder: that of `kapok serve`.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fleet.alarms import channels, outbox
from fleet.alarms.delivery import DeliveryError
from fleet.alarms.marking import Sent, mark_failed, mark_sent
from fleet.alarms.messages import Told, told
from fleet.alarms.tables import Channel, OutMessage
from fleet.alarms.transport import Transport
from fleet.db.base import Database
from fleet.registry.operations import now_us

LOOK_S = 1.0
AT_ONCE = 8  # channels
BATCH = {channels.MAIL: 50, channels.WEBHOOK: 20}  # messages of one go; one mail, several POSTs

log = structlog.get_logger("alarms")


class Sender:
    """`start` and `stop` it. `counts`: messages by what became of them since the start."""

    def __init__(
        self, database: Database, transport: Transport, clock: Callable[[], int] = now_us
    ) -> None:
        self._database = database
        self._transport = transport
        self._clock = clock
        self._stopping = threading.Event()
        self._busy: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="alarms")
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)
        self.counts: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being sent; the rest waits for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def look(self) -> list["Future[None]"]:
        """Give every channel with something due its go, unless it has one."""
        for name in self._due():
            if name not in self._busy or self._busy[name].done():
                self._busy[name] = self._pool.submit(self._go, name)
        return list(self._busy.values())

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self.look()
            except SQLAlchemyError as e:
                log.error("the outbox cannot be read", reason=repr(e)[:300])

    def _due(self) -> list[str]:
        now = self._clock()
        with self._database.read() as session:
            waiting = (
                select(OutMessage.id)
                .where(
                    OutMessage.state == outbox.QUEUED, OutMessage.channel == Channel.name,
                    OutMessage.due_us <= now,
                )
                .exists()
            )  # fmt: skip
            query = select(Channel.name).where(Channel.retry_us <= now, waiting)
            return list(session.scalars(query.order_by(Channel.name)))

    def _go(self, name: str) -> None:
        try:
            while not self._stopping.is_set() and self._batch(name):
                pass
        except Exception as e:  # whatever it is, the next look begins anew
            log.error("a channel was not served", channel=name, reason=repr(e)[:300])
            time.sleep(LOOK_S)

    def _batch(self, name: str) -> bool:
        """One mail or some POSTs; whether more may be due."""
        with self._database.read() as session:
            found = _next(session, name, self._clock())
        if not found:
            return False
        groups = [found] if found[0].kind == channels.MAIL else [[each] for each in found]
        return all(self._deliver(name, group) for group in groups)

    def _deliver(self, name: str, group: list[Told]) -> bool:
        try:
            self._transport.deliver(group)
        except DeliveryError as e:
            self.counts["failed"] += len(group)
            log.warning("an alarm was not taken", channel=name, reason=str(e))
            with self._database.begin() as session:
                return mark_failed(session, name, _sent(group), e, self._clock())
        with self._database.begin() as session:
            mark_sent(session, name, _sent(group), self._clock())
        self.counts["sent"] += len(group)
        return True


def _next(session: Session, name: str, now: int) -> list[Told]:
    channel = session.get(Channel, name)
    if channel is None or channel.retry_us > now:
        return []
    rows = session.scalars(
        select(OutMessage)
        .where(
            OutMessage.state == outbox.QUEUED, OutMessage.channel == name,
            OutMessage.due_us <= now,
        )
        .order_by(OutMessage.id)
        .limit(BATCH[channel.kind])
    )  # fmt: skip
    return told(session, channel, list(rows))


def _sent(group: list[Told]) -> list[Sent]:
    return [Sent(each.message_id, each.alarm.id, each.event) for each in group]
