"""What the fleet of a rig has of releases: keys that sign them, bundles, rollouts.

number = fleet.releases.make(node, change)     built of this tree's firmware, which
                                               `change(folder)` has changed; signed, promoted
fleet.releases.pair(node)                      this tree as a release, and one behind it
fleet.releases.offer(node, number)             a rollout to this one node, started and offered
fleet.releases.state(node, number)             of its update: offered, accepted ... succeeded
fleet.releases.wait(node, number, "succeeded", seconds)
fleet.releases.reason(node, number)            why it ended; .sent_whole(...), .size(...)
fleet.releases.running(node)                   the sequence that it told last, 0: none
"""

import contextlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fleet.flashing.hardware import load_node_type
from fleet.paths import firmware_dir
from fleet.releases import slots
from fleet.rollouts.states import FINAL
from hil import versions
from hil.errors import NodeFault
from hil.faults import RigFault

if TYPE_CHECKING:
    from hil.fleet import Fleet

LIFE_S = 400 * 86400
DELTA_S = 120.0  # of real time, to make and prove a delta
OFFER_S = 60.0  # of real time, until the fleet has looked at its rollouts


class Pair(NamedTuple):
    """Sequences and bundles of two releases, the first of which is the base of a delta."""

    base: int
    base_bundle: Path
    then: int
    then_bundle: Path


class Releases:
    """Of one fleet."""

    def __init__(self, fleet: "Fleet", folder: Path) -> None:
        self._fleet = fleet
        self._folder = folder / "releases"
        self._numbers = itertools.count(1)
        self._offers = itertools.count(1)
        self._pairs: dict[str, Pair] = {}

    def trust(self) -> None:
        """Make the fleet trust the rig's keys, before a node is provisioned that shall."""
        self._folder.mkdir(exist_ok=True)
        trust = self._folder / "trust.cbor"
        self._fleet.text(
            "release", "keys", "trust", "--root", f"{key('root1')}.pub",
            "--root", f"{key('root2')}.pub", "--key", f"{key('release')}.pub", "--out", trust,
        )  # fmt: skip
        self._fleet.text("release", "keys", "install", trust)

    def build(self, node: Any, change: Callable[[Path], None] | None = None) -> tuple[int, Path]:
        """A bundle for the node's role and board, not signed: sequence and file."""
        number, kind = next(self._numbers), load_node_type(node.type)
        bundle = self._folder / f"{number}.kapok"
        sources = self._folder / f"{number}"
        shutil.copytree(firmware_dir(), sources)
        if change is not None:
            change(sources)
        expires = time.strftime("%Y-%m-%d", time.gmtime(time.time() + LIFE_S))
        self._fleet.text(
            "release", "build", "--role", kind.role, "--board", kind.board, "--sequence", number,
            "--expires", expires, "--firmware", sources, "--out", bundle,
        )  # fmt: skip
        return number, bundle

    def sign(self, bundle: Path, name: str = "release") -> None:
        """By one of the rig's keys."""
        self._fleet.text("release", "sign", bundle, "--key", key(name))

    def promote(self, bundle: Path) -> None:
        """Let rollouts offer it."""
        self._fleet.text("release", "promote", bundle, "--by", "Li Wei")

    def pair(self, node: Any) -> "Pair":
        """A release that is this tree, one behind it that obeys hil/versions.py, and the delta
        between them; made once for a node type.
        """
        if node.type not in self._pairs:
            (base, bundle), (then, its) = self.build(node), self.build(node, versions.obedient)
            for each in (bundle, its):
                self.sign(each)
                self.promote(each)
            self._fleet.soon(lambda: self._delta(base, then) == "ready", DELTA_S)
            self._pairs[node.type] = Pair(base, bundle, then, its)
        return self._pairs[node.type]

    def _delta(self, base: int, number: int) -> str:
        found = self._fleet.rows(
            "SELECT state FROM release_deltas WHERE base_sequence = ? AND sequence = ?",
            base, number,
        )  # fmt: skip
        return str(found[0][0]) if found else ""

    def make(self, node: Any, change: Callable[[Path], None] | None = None) -> int:
        """Build, sign and promote; its sequence."""
        number, bundle = self.build(node, change)
        self.sign(bundle)
        self.promote(bundle)
        return number

    def offer(self, node: Any, number: int) -> str:
        """A rollout to this node alone, which `kapok serve` offers next; the rollout's name."""
        name = f"to-{node.id}-{number}-{next(self._offers)}"
        made = self._fleet.command(
            "rollout", "create", name, "--release", number, "--where", f"node = {node.id}",
            "--canary", 1, "--stages", "100", "--urgent", "--by", "Li Wei",
        )  # fmt: skip
        if made["needs_approval"]:
            self._fleet.text("rollout", "approve", name, "--by", "Wang Fang")
        self._fleet.text("rollout", "start", name, "--by", "Li Wei")
        self._fleet.soon(lambda: self.state(node, number) not in ("", "scheduled"), OFFER_S)
        return name

    def state(self, node: Any, number: int) -> str:
        """Of the node's newest update to that release; empty: there is none."""
        found = self._fleet.rows(
            "SELECT state FROM updates WHERE node_id = ? AND sequence = ? ORDER BY id DESC",
            node.id, number,
        )  # fmt: skip
        return str(found[0][0]) if found else ""

    def reason(self, node: Any, number: int) -> str:
        """Why it ended so: "crashed", "bad-signature" ... (fleet/updates/outcomes.py)."""
        found = self._fleet.rows(
            "SELECT reason FROM updates WHERE node_id = ? AND sequence = ? ORDER BY id DESC",
            node.id, number,
        )  # fmt: skip
        return str(found[0][0]) if found else ""

    def sent_whole(self, node: Any, number: int) -> bool:
        """Whether the newest offer of it was of the whole image, and not a delta."""
        found = self._fleet.rows(
            "SELECT whole FROM assigned WHERE node_id = ? AND sequence = ? ORDER BY number DESC",
            node.id, number,
        )  # fmt: skip
        return bool(found[0][0])

    def size(self, node: Any, number: int) -> int:
        """Bytes of the stream of its newest offer."""
        found = self._fleet.rows(
            "SELECT size FROM assigned WHERE node_id = ? AND sequence = ? ORDER BY number DESC",
            node.id, number,
        )  # fmt: skip
        return int(found[0][0])

    def other_trust(self) -> bytes:
        """A trust in keys that have signed nothing here, as a node keeps it."""
        trust = self._folder / "other.cbor"
        self._fleet.text(
            "release", "keys", "trust", "--root", f"{key('root1')}.pub",
            "--root", f"{key('root2')}.pub", "--key", f"{key('other')}.pub", "--out", trust,
        )  # fmt: skip
        return trust.read_bytes()

    def running(self, node: Any) -> int:
        """Which it told that it runs; 0: none of the fleet's."""
        found = self._fleet.rows("SELECT sequence FROM running WHERE node_id = ?", node.id)
        return int(found[0][0] or 0) if found else 0

    def wait(self, node: Any, number: int, state: str, seconds: float) -> None:
        """Until the update is in that state; NodeFault with the state that it is in."""

        def there() -> bool:
            now = self.state(node, number)
            return now == state or now in FINAL

        self._fleet.until(there, seconds)
        if (now := self.state(node, number)) != state:
            raise NodeFault(
                f"the update of {node.id} to {number} is {now or 'not made'}, not {state}"
            )


def key(name: str) -> Path:
    """A key of the rig's, of this machine: made once, since that takes seconds; no other fleet
    trusts it. Its two halves come there as one folder: a worker that makes the same key at the
    same time takes what was first, and never half of it.
    """
    from fleet.cli.main import kapok

    folder = slots.cache_dir() / "rig-key-pairs"
    path = folder / name / "key.pem"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as making:
            pair = Path(making) / "pair"
            pair.mkdir()
            made = pair / "key.pem"
            kapok.main(["release", "keys", "new", "--out", str(made)], standalone_mode=False)
            with contextlib.suppress(OSError):  # not empty: another worker's are there
                pair.rename(path.parent)
        if not path.exists():
            raise RigFault(f"{path.parent}: the rig's key {name} cannot be put there")
    return path
