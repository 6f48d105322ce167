"""The fleet's side of a rehearsal: what comes in, and what the office and crews do, by name.

Each call may be made again after a death in the middle of it: what was committed stays, and doing
it again is harmless. Only plain values go in and out, so that another process may serve.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import select

from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.legacy.intake import Intake, take_kept
from fleet.legacy.sources import Source
from fleet.migration import billing, cutover, decommission, gate, items, policy, preflight
from fleet.migration import work as orders
from fleet.migration.desk import Desk, Office
from fleet.migration.rehearsal.hearing import hear
from fleet.migration.rehearsal.speaking import Contact
from fleet.migration.states import Actor
from fleet.migration.work_acts import Done
from fleet.registry import operations as registry
from fleet.registry.tables import Terminal
from fleet.releases.signers import Signer
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Message
from fleet.wire import receipt

PERSON: Final = "the office"
Refused = list[tuple[int, str]]


class Server:
    """`at` is the clock; every call sets it."""

    def __init__(self, database: Database, signer: Signer, programme_id: int) -> None:
        self.database = database
        self.at_us = 0
        self.programme_id = programme_id
        self._office = Office(database, signer, lambda: self.at_us)
        self._intake = Intake(database)
        self._ingest = Ingest(database)

    def call(self, name: str, at_us: int, *arguments: Any) -> Any:
        """Do what is called so, at a time."""
        self.at_us = at_us
        return getattr(self, f"do_{name}")(*arguments)

    def do_contacts(self, contacts: Sequence[Contact]) -> list[bool]:
        """Of each, whether its terminal may forget it: all it said is committed, and answered."""
        heard = [hear(contact) for contact in contacts]
        arrivals = [arrival for one in heard for arrival in one.arrivals]
        stored = iter(self._intake.take(arrivals))
        safe = []
        for one in heard:
            mine = [next(stored) for _ in one.arrivals]
            safe.append(all(each.is_safe for each in mine) and not one.garbage)
        return safe

    def do_reports(self, reports: Sequence[tuple[str, bytes, int]]) -> list[set[int]]:
        """Of each report (node, payload, received), the sequences that its receipt covers."""
        outcomes = self._ingest.process([Message(*one) for one in reports])
        return [_covered(outcome.receipt) for outcome in outcomes]

    def do_kept(self, sources: Sequence[tuple[str, str]]) -> int:
        """What was kept of strangers becomes readings where they are known by now."""
        count = 0
        for kind, address in sources:
            with self.database.begin() as session:
                count += len(take_kept(session, Source(kind, address)))
        return count

    def do_nodes(self, nodes: Sequence[tuple[str, str, str]]) -> None:
        """Provision nodes (id, role, area) in the workshop."""
        with self.database.begin() as session:
            ids = [node_id for node_id, *_ in nodes]
            known = set(session.scalars(select(Terminal.id).where(Terminal.id.in_(ids))))
            for node_id, role, area in nodes:
                if node_id not in known:
                    registry.add_node(session, node_id, role, area)

    def do_check(self, ids: Sequence[int], name: str, said: str) -> int:
        """A check of items, which passed where nothing is said against it."""
        return len(
            self._office.each(
                ids, Actor.PERSON, PERSON,
                lambda desk, some: preflight.note(desk, some, name, said, passed=not said),
            )
        )  # fmt: skip

    def do_ready(self, ids: Sequence[int]) -> tuple[list[int], Refused]:
        return self._each(ids, Actor.FLEET, preflight.make_ready)

    def do_orders(self, after: int) -> list[dict[str, Any]]:
        """A page of jobs that are not done."""
        with self.database.read() as session:
            found = orders.orders(session, self.programme_id, after=after)
        return [one._asdict() for one in found]

    def do_done(self, act: dict[str, Any]) -> str:
        """A technician's act; empty, or why it was refused."""
        made = Done(**act)
        try:
            with self.database.begin() as session:
                orders.take_in(self._office.desk(session, Actor.TECHNICIAN, made.person), made)
        except Refusal as e:
            return str(e)
        return ""

    def do_send_back(self, item_id: int) -> int:
        with self.database.begin() as session:
            return orders.send_back(self._office.desk(session, Actor.PERSON, PERSON), item_id)

    def do_gate(self, ids: Sequence[int]) -> tuple[list[tuple[int, bool, str]], Refused]:
        found, refused = self._each(ids, Actor.FLEET, gate.judge)
        return [tuple(one) for one in found], refused

    def do_cut_over(self, ids: Sequence[int]) -> tuple[list[int], Refused]:
        found, refused = self._each(ids, Actor.PERSON, cutover.cut_over)
        return [one.item_id for one in found], refused

    def do_roll_back(self, ids: Sequence[int], reason: str) -> tuple[list[int], Refused]:
        found, refused = self._each(
            ids, Actor.PERSON, lambda desk, some: cutover.roll_back(desk, some, reason)
        )
        return [one.item_id for one in found], refused

    def do_freeze(self, to_us: int) -> int:
        """Close a period; how many bill lines it came to."""
        with self.database.read() as session:
            assets = items.assets(session, self.programme_id)
            limits = policy.of(session, self.programme_id)
        return len(
            self._office.each(
                assets, Actor.PERSON, PERSON,
                lambda desk, some: billing.freeze(desk, some, to_us, limits),
            )
        )  # fmt: skip

    def do_settle(self, ids: Sequence[int]) -> tuple[list[int], Refused]:
        return self._each(ids, Actor.FLEET, cutover.settle)

    def do_decommission(self, ids: Sequence[int]) -> tuple[list[int], Refused]:
        return self._each(ids, Actor.PERSON, decommission.decommission)

    def do_items(self) -> list[tuple[int, str, int | None]]:
        """Of each item its state and its deadline."""
        found: list[tuple[int, str, int | None]] = []
        after = 0
        while True:
            with self.database.read() as session:
                page = items.shown(session, self.programme_id, after=after)
            found += [(one.id, one.state, one.deadline_us) for one in page]
            if len(page) < items.PAGE:
                return found
            after = page[-1].id

    def _each(
        self, ids: Sequence[int], actor: Actor,
        act: Callable[[Desk, Sequence[int]], list[Any]],
    ) -> tuple[list[Any], Refused]:  # fmt: skip
        return self._office.all_or_each(ids, actor, PERSON, act)


def _covered(raw: bytes | None) -> set[int]:
    if raw is None:
        return set()
    return {n for first, last in receipt.decode(raw).ranges for n in range(first, last + 1)}
