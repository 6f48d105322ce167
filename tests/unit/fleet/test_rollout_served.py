"""Rollouts over the fleet's own queues and ingest: from the person's start to what a node says, as
`kapok serve` runs them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from coap_rig import WRAPPER
from updates_rig import NEW, City, Taker

from fleet.identity.authority import Authority
from fleet.registry.operations import now_us
from fleet.rollouts import creating, lifecycle, listing
from fleet.rollouts.creating import Wanted
from fleet.rollouts.plan import Plan
from fleet.rollouts.tables import Rollout
from fleet.settings import CONFIG, load
from fleet.upkeep import Upkeep
from fleet.wire import command, release


class Served:
    """A city whose upkeep is called by the test."""

    def __init__(self, folder: Path, nodes: int, authority: Authority) -> None:
        (folder / CONFIG).write_text("")
        self.city = City(folder, nodes)
        self.settings = load(folder)
        self.authority = authority
        self.upkeep = Upkeep(self.settings, self.city.database, authority, wrapper=WRAPPER)
        self.takers = [Taker(self.city, node_id) for node_id in self.city.nodes]

    def start(self, name: str = "july", sequence: int = NEW, **plan: object) -> None:
        wanted = Wanted(name, sequence, "role = gas-meter", Plan(**plan))  # type: ignore[arg-type]
        creating.create(self.city.database, wanted, "Li Wei", account="li")
        with self.city.database.begin() as session:
            row = lifecycle.find(session, name)
            lifecycle.approve(session, row, "Wang Fang", account="wang")
            lifecycle.start(session, row, "Li Wei")

    def tick(self) -> None:
        """A tick at which everything that runs is due."""
        with self.city.database.begin() as session:
            session.query(Rollout).filter_by(state=lifecycle.RUNNING).update(
                {"due_us": now_us() - 1}
            )
        self.upkeep.tick()

    def counts(self, name: str = "july") -> dict[str, int]:
        with self.city.database.read() as session:
            return dict(listing.status(session, name).rollout.counts)

    def state(self, name: str = "july") -> str:
        with self.city.database.read() as session:
            return listing.status(session, name).rollout.state


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Made once: its keys take their time."""
    return Authority.open(tmp_path_factory.mktemp("pki") / "pki")


@pytest.fixture
def served(tmp_path: Path, authority: Authority) -> Iterator[Served]:
    made = Served(tmp_path, 4, authority)
    yield made
    made.city.close()


def test_from_the_start_to_the_end(served: Served) -> None:
    for taker in served.takers:
        taker.report()
    served.start(canary=1, stages=(100,), retries=0)
    served.tick()
    assert served.counts() == {"offered": 1, "scheduled": 3}
    for _ in range(5):  # one at a time: nothing has been out for long enough to prove itself
        for taker in served.takers:
            if taker.job is None:
                taker.report()
                if taker.job is None:
                    continue
            number, assignment = taker.job
            assert assignment.sequence == NEW
            assert isinstance(taker.fetch(), bytes)
            taker.report(stage=release.DOWNLOADING, mark=assignment.size)
            taker.report(stage=release.CONFIRMING)
            taker.runs(NEW)
            taker.report((number, command.DONE, 0))
            taker.job = None
        served.tick()
    assert served.counts() == {"succeeded": 4}
    assert served.state() == lifecycle.FINISHED


def test_a_canary_that_goes_back_stops_it_and_the_others_never_hear_of_it(
    served: Served,
) -> None:
    served.start(canary=4, stages=(100,), trip=1)
    served.tick()
    first, *others = served.takers
    first.report()
    assert first.job is not None
    first.report((first.job[0], release.ROLLED_BACK, release.CRASHED))
    served.tick()
    assert served.state() == lifecycle.STOPPED
    assert served.counts() == {"rolled-back": 1, "scheduled": 3}
    for taker in others:
        taker.report()
        assert taker.job is None
    with served.city.database.read() as session:
        status = listing.status(session, "july")
    assert status.reasons == {"crashed": 1}


def test_a_cancel_reaches_a_node_that_is_fetching(served: Served) -> None:
    served.start(canary=4)
    served.tick()
    taker = served.takers[0]
    taker.report()
    assert taker.job is not None
    taker.report(stage=release.DOWNLOADING, mark=512)
    with served.city.database.begin() as session:
        lifecycle.cancel(session, lifecycle.find(session, "july"), "Li Wei")
    for _ in range(4):
        served.upkeep.tick()
    assert served.counts() == {"canceled": 4}
    assert taker.fetch() == release.GONE
    taker.report()
    assert taker.job is None  # it was told to drop it


def test_what_a_node_runs_already_is_no_work(served: Served) -> None:
    served.start(canary=4)
    taker = served.takers[0]
    taker.runs(NEW)
    taker.report()
    served.tick()
    assert served.counts() == {"already-installed": 1, "offered": 3}


def test_a_rollout_without_keys_waits_and_says_so(served: Served) -> None:
    served.start(canary=4)
    with served.city.database.begin() as session:
        from fleet.identity import hmac_keys

        hmac_keys.revoke(session, served.city.nodes[0])
    served.tick()
    assert served.counts() == {"offered": 3, "scheduled": 1}
    with served.city.database.read() as session:
        assert listing.status(session, "july").waiting == {"no-offer": 1}


def test_without_a_wrapper_nobody_is_offered_anything(served: Served) -> None:
    upkeep = Upkeep(served.settings, served.city.database, served.authority)
    served.start(canary=4)
    upkeep.tick()
    assert served.counts() == {"scheduled": 4}
