"""A person's rollout over real firmware and a real `kapok serve`: the canary takes the release,
then the other one, and nobody but the fleet's own tick offers anything.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from fleet_rig import one_account

from fleet.rollouts import lifecycle
from tests.bench.update_street import NEW, Street

TABLE = 500  # bytes


class Rolled(Street):
    """A street whose updates come by `kapok rollout`. Its nodes wait for the fleet's tick, which
    goes by real time, and for each other: days pass in seconds meanwhile.
    """

    longest_s = 60 * 86_400

    async def kapok(self, *words: str) -> Any:
        """A command, and what it says in JSON."""
        return json.loads(await self.fleet.command(*words, "--json"))

    async def roll(self) -> dict[str, Any]:
        """Make, approve and start a rollout; nodes go on until it is over; its state then."""
        await asyncio.gather(*(self._until_heard(house) for house in self.houses))
        made = await self.kapok(
            "rollout", "create", "july", "--release", str(NEW), "--canary", "1", "--stages", "100",
            "--where", f"role = gas-meter and version < {NEW}", "--by", "Li Wei",
        )  # fmt: skip
        assert made == {"id": 1, "nodes": len(self.houses), "needs_approval": True}
        await self.kapok("rollout", "approve", "july", "--by", "Wang Fang")
        await self.kapok("rollout", "start", "july", "--by", "Li Wei")
        await asyncio.gather(*(self._until(house, self._over) for house in self.houses))
        found: dict[str, Any] = await self.kapok("rollout", "status", "july")
        return found

    def _over(self) -> bool:
        ((state,),) = self._query("SELECT state FROM rollouts")
        return state in (*lifecycle.OVER, lifecycle.STOPPED)

    def offered(self) -> list[tuple[object, ...]]:
        """(group, when) of each node, the first that was offered first."""
        return self._query("SELECT group_no, offered_us, moved_us FROM updates ORDER BY place")


async def test_a_rollout_reaches_whole_nodes_one_stage_after_the_other(tmp_path: Path) -> None:
    street = Rolled(tmp_path, 5, TABLE)
    try:
        await street.open(2)
        one_account(street.fleet.data)
        status = await street.roll()
        assert status["state"] == "finished", status
        assert status["counts"] == {"succeeded": 2}
        (_, _, canary_ended), (group, second_offered, _) = street.offered()
        assert group == 2
        assert canary_ended <= second_offered  # type: ignore[operator]
        assert street._query("SELECT DISTINCT sequence FROM running") == [(NEW,)]
        kinds = [event["kind"] for event in status["events"]]
        assert kinds == ["finished", "group", "group", "started", "approved", "created"]
    finally:
        await street.close()
