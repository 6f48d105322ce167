"""A fleet with releases and nodes that have keys, and a node that takes updates as it must."""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import fleet_rig as rig
from coap_rig import WRAPPER
from command_rig import give_key, key_of
from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.control.operations import UPDATE
from fleet.db.base import Database
from fleet.identity.wrapping import Wrapper
from fleet.registry.operations import now_us
from fleet.releases.tables import PROMOTED, READY, Artifact, Delta, Release
from fleet.rollouts import moves, states
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout, RolloutGroup, Update
from fleet.updates import offers
from fleet.updates.blocks import Blocks
from fleet.updates.streams import NotServedError, Streams
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Message
from fleet.wire import command, receipt, release, report

DAY_S = 86_400
OLD, NEW = 7, 8  # sequences
RUNTIME = 65536 + 256 * 29


def image(seed: int, size: int = 6000) -> bytes:
    """An application: as compressible as bytecode is."""
    words = [sha256(bytes([seed, n % 40])).digest()[:12] for n in range(size // 12)]
    return b"".join(words)


class City:
    """Gas meters that run release OLD, and a release NEW for them."""

    def __init__(self, folder: Path, count: int = 1) -> None:
        self.path = folder / "kapok.db"
        self.database = rig.open_database(folder)
        self.ingest = Ingest(self.database, WRAPPER)
        self.nodes = sorted(rig.add_nodes(self.database, count, "gas-meter"))
        for node_id in self.nodes:
            give_key(self.database, node_id)
        self.images = {OLD: image(1), NEW: image(1, 5400) + image(2, 600)}
        for sequence, data in self.images.items():
            self.publish(sequence, {release.APPLICATION: data})
        self.patch = secrets.token_bytes(200)  # nothing here applies it
        self.open()

    def open(self) -> None:
        """As a process of the fleet that has just started."""
        self.clock = 1000.0
        self.blocks = Blocks(Streams(self.database, lambda: self.clock), lambda: self.clock)

    def publish(self, sequence: int, parts: Mapping[int, bytes], state: str = PROMOTED) -> Release:
        """A release with these components; nobody here looks at its signature."""
        components = [
            release.Component(kind, len(data), sha256(data).digest(), _version(kind))
            for kind, data in parts.items()
        ]
        manifest = release.encode(
            release.Manifest(
                sequence, bytes(16), bytes(16), "gas-meter", "", (0, 0xFFFF), (0, 0xFFFFFF),
                components, [], 2_000_000_000,
            )
        )  # fmt: skip
        envelope = release.seal(manifest, [(bytes(8), bytes(384), b"")])
        held = parts.get(release.APPLICATION)
        row = Release(
            sequence=sequence, role="gas-meter", board="", state=state, manifest=manifest,
            envelope=envelope, digest=sha256(manifest).digest(),
            image=None if held is None else image_name(held), sbom="", added_us=1, person="",
            reason="",
        )  # fmt: skip
        with self.database.begin() as session:
            session.add(row)
            for data in parts.values():
                session.merge(Artifact(digest=sha256(data).digest(), data=data))
        return row

    def with_delta(self) -> None:
        """A proved one, from OLD to NEW."""
        base = image_name(self.images[OLD])
        with self.database.begin() as session:
            session.add(
                Delta(
                    sequence=NEW, base=base, base_sequence=OLD, state=READY, patch=self.patch,
                    reason="", changed_us=1,
                )
            )  # fmt: skip

    def revoke(self, sequence: int = NEW) -> None:
        """As kapok release revoke."""
        with self.database.begin() as session:
            session.get_one(Release, sequence).state = "revoked"

    def roll_out(self, sequence: int = NEW, name: str = "first") -> list[int]:
        """An update for each node, offered; the ids of those that were."""
        with self.database.begin() as session:
            return roll_out(session, WRAPPER, self.nodes, sequence, name)

    def offer(self, ids: Sequence[int]) -> list[int]:
        """As a rollout's tick does."""
        with self.database.begin() as session:
            return offer_again(session, WRAPPER, ids)

    def withdraw(self, ids: Sequence[int]) -> None:
        """As a person who cancels."""
        with self.database.begin() as session:
            rows = list(session.scalars(select(Update).where(Update.id.in_(ids))))
            offers.withdraw(session, rows, now_us())
            moves.move(session, ids, states.CANCELED, Actor.PERSON, now_us())

    def states(self) -> list[tuple[str, str, int]]:
        """(state, reason, mark) of each update, not by the fleet's code."""
        return rig.query(self.path, "SELECT state, reason, mark FROM updates ORDER BY id")

    def node(self, place: int = 0) -> "Taker":
        """A node that reports."""
        return Taker(self, self.nodes[place])

    def close(self) -> None:
        """Close the database."""
        self.database.close()


def roll_out(
    session: Session, wrapper: Wrapper, nodes: Sequence[str], sequence: int, name: str = "first"
) -> list[int]:
    """A rollout of one group that is offered at once; the ids of the updates that were."""
    plan = Rollout(
        name=name, sequence=sequence, query="all", plan="{}", state="running", why="",
        urgent=False, valve=True, asked_by="Li Wei", asked_account="li", asked_us=1,
        total=len(nodes), group_no=1, joined_us=1, budget=0, budget_us=1, due_us=None,
    )  # fmt: skip
    session.add(plan)
    session.flush()
    session.add(
        RolloutGroup(rollout_id=plan.id, number=1, name="canary", state="open", total=1, errors=0)
    )
    session.add_all(
        Update(
            rollout_id=plan.id, group_no=1, place=place, node_id=node_id, cell="",
            sequence=sequence, state=states.SCHEDULED, reason="", mark=0, attempts=0,
            history="", due_us=1, step_s=None,
        )
        for place, node_id in enumerate(nodes, 1)
    )  # fmt: skip
    session.flush()
    rows = list(session.scalars(select(Update).where(Update.rollout_id == plan.id)))
    return _offer(session, wrapper, rows)


def offer_again(session: Session, wrapper: Wrapper, ids: Sequence[int]) -> list[int]:
    """As a rollout's tick does with what is scheduled."""
    rows = list(session.scalars(select(Update).where(Update.id.in_(ids))))
    return _offer(session, wrapper, rows)


def _offer(session: Session, wrapper: Wrapper, rows: list[Update]) -> list[int]:
    numbers = offers.offer(session, wrapper, rows, now_us())
    moves.move(session, numbers, states.OFFERED, Actor.FLEET, now_us())
    return sorted(numbers)


def image_name(data: bytes) -> bytes:
    """By which a release's application is known."""
    return sha256(b"image" + data).digest()[:8]


def _version(kind: int) -> int | str:
    return RUNTIME if kind == release.RUNTIME else "R02" if kind == release.MODEM else 0


class Taker:
    """What firmware must do with an assignment, and no more; `status` is what it tells."""

    def __init__(self, city: City, node_id: str) -> None:
        self.city = city
        self.node_id = node_id
        self.status: dict[int, int] = {}
        self.runs(OLD)
        self.key = key_of(city.database, node_id)
        self.job: tuple[int, release.Assignment] | None = None
        self.handled = 0
        self._sequence = 0

    def runs(self, sequence: int) -> None:
        """What its reports say from now on."""
        name = image_name(self.city.images[sequence])
        self.status |= {17: sequence, 18: int.from_bytes(name[:4], "big"), 19: RUNTIME}

    def report(self, *results: tuple[int, int, int], **status: int) -> list[int]:
        """Tell results (number, result, detail) and take what comes; the results of that.

        `status`: stage and mark, if there is a job.
        """
        (outcome,) = self.city.ingest.process([self.message(*results, **status)])
        assert outcome.receipt is not None, outcome
        items = receipt.decode(outcome.receipt).items
        return [self.take(n, payload) for n, kind, payload in items if kind == UPDATE]

    def message(self, *results: tuple[int, int, int], **status: int) -> Message:
        """The report of that."""
        more = {20: status.get("stage", 0), 21: status.get("mark", 0), 14: self.handled}
        told = {**self.status, **{key: value for key, value in more.items() if value}}
        now = now_us()
        bodies = []
        for number, result, detail in results:
            self._sequence += 1
            values = [(900, number), (901, result), (902, detail)]
            bodies.append(
                (self._sequence, report.encode_body(now // 1_000_000, report.GOOD, values))
            )
        sent = report.encode(5, now // 1_000_000, bodies, told)
        return rig.message(self.node_id, sent, now)

    def take(self, number: int, payload: bytes) -> int:
        """The result of taking an item: DONE, it is stored."""
        if number <= self.handled:
            return command.REPLAYED
        assignment = release.assigned(payload)
        text = release.bound(self.node_id, number, assignment)
        mac = hmac.digest(self.key, text, "sha256")[: release.MAC]
        if not hmac.compare_digest(assignment.mac, mac):
            return command.FORGED
        self.handled = number
        self.job = (number, assignment) if assignment.sequence else None
        return command.DONE

    def fetch(self, size: int = 512) -> bytes | int:
        """The whole stream of its job, block by block, or why there is none."""
        assert self.job is not None
        number, assignment = self.job
        got = b""
        try:
            while len(got) < assignment.size:
                got += self.city.blocks.read(self.node_id, number, len(got), size).data
        except NotServedError as e:
            return e.code
        return got


def open_updates(database: Database) -> list[Update]:
    """In flight."""
    with database.read() as session:
        return list(session.scalars(select(Update).where(Update.open_for.is_not(None))))
