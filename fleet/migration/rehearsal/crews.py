"""The crews of a rehearsal: a day's visits, within their minutes, as doors and dials let them."""

import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from fleet.migration.dualrun import BESIDE, INSTEAD
from fleet.migration.rehearsal.chances import Chances
from fleet.migration.rehearsal.facts import Old
from fleet.migration.rehearsal.flows import mix
from fleet.migration.rehearsal.street import Call, Street
from fleet.migration.rules import Rules
from fleet.migration.wave_settings import WaveSettings
from fleet.wire import nodeid

_MINUTE_US: Final = 60_000_000
_SHUT_MIN, _TYPO_MIN = 10, 5
_ROLE: Final = {"gas-meter": "gas-meter", "gateway": "gateway"}
_SAME: Final = ("configuration", "esim-profile", "sim-swap", "module-swap")
_RETIRE, _BACK = "retire", "back"
# A MAC that no maker has: locally administered.
_MAC: Final = 0x02_4B_00_00_00_00


class Day(NamedTuple):
    """What crews were asked for on a day, in minutes, and what is left over."""

    day: int
    asked_min: int
    capacity_min: int
    left: int


class Crews:
    """Carries out work orders."""

    def __init__(
        self, call: Call, street: Street, olds: Sequence[Old], rules: Rules,
        settings: WaveSettings, chances: Chances,
    ) -> None:  # fmt: skip
        self._call = call
        self._street = street
        self._by_item = {old.item_id: old for old in olds}
        self._rules = rules
        self._settings = settings
        self._chances = chances
        self._tries: dict[int, int] = {}
        self._nodes = 0
        self.days: list[Day] = []
        self.late: dict[int, int] = {}  # item -> days behind its day
        self.refused: list[str] = []

    def work(self, day: int, day_us: int) -> None:
        """A day: `day_us` is its midnight in China."""
        works = self._settings.works(day)
        jobs = [job for job in self._orders(day_us) if self._is_due(job, day)]
        if not jobs:
            return
        jobs.sort(key=lambda job: (job["kind"] != _BACK, job["due_day"] or 0, job["area"]))
        window = self._settings.window()
        span = window.end - window.begin
        capacity = span * self._settings.crews if works else 0
        asked = 0
        clock, area, visits = 0, "", []
        crew = 0
        for job in jobs:
            minutes = self._rules.path(job["path"]).minutes
            asked += minutes
            if minutes == 0:
                if works:
                    visits.append((job, day_us + window.begin * _MINUTE_US))
                continue
            while works and crew < self._settings.crews:
                travel = self._settings.travel if clock and job["area"] != area else 0
                if clock + travel + minutes <= span:
                    break
                crew, clock, area = crew + 1, 0, ""
            if not works or crew >= self._settings.crews:
                continue
            begin = clock + (self._settings.travel if clock and job["area"] != area else 0)
            shut = self._is_shut(job["item_id"], day)
            clock, area = begin + (_SHUT_MIN if shut else minutes), job["area"]
            if not shut:
                ends = day_us + (window.begin + begin + minutes) * _MINUTE_US
                visits.append((job, ends))
        self._provide(visits, day_us)
        done = sum(self._visit(job, at_us, day) for job, at_us in visits)
        self.days.append(Day(day, asked, capacity, len(jobs) - done))

    def _orders(self, at_us: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = 0
        while page := self._call("orders", at_us, after):
            found += page
            after = page[-1]["id"]
        return found

    def _is_due(self, job: dict[str, Any], day: int) -> bool:
        if job["item_id"] not in self._by_item:
            return False
        return job["kind"] == _BACK or (job["due_day"] or 0) <= day

    def _is_shut(self, item_id: int, day: int) -> bool:
        return self._chances.hits(self._chances.shut, item_id, day, 7)

    def _provide(self, visits: list[tuple[dict[str, Any], int]], day_us: int) -> None:
        """The nodes that the crews take along are provisioned in the morning."""
        nodes = []
        for job, _ in visits:
            if job["kind"] == _BACK or job["path"] in (*_SAME, _RETIRE):
                continue
            self._nodes += 1
            job["new"] = nodeid.from_mac((_MAC + self._nodes).to_bytes(6, "big"))
            role = _ROLE.get(self._by_item[job["item_id"]].kind, "drainage")
            nodes.append((job["new"], role, job["area"]))
        for start in range(0, len(nodes), 200):
            self._call("nodes", day_us, nodes[start : start + 200])

    def _visit(self, job: dict[str, Any], at_us: int, day: int) -> bool:
        item_id = job["item_id"]
        self._tries[item_id] = self._tries.get(item_id, 0) + 1
        act = self._act(job, at_us)
        typo = self._chances.hits(self._chances.typo, item_id, self._tries[item_id], 8)
        if typo and act["final"]:
            # So far off that it must be refused; it is read again. One that is off by no more
            # than may have flowed is taken, here as in the field: only a photo tells it.
            wrong = act | {"id": _uuid(item_id, at_us, 1), "final": _wrong(act["final"])}
            if not self._call("done", at_us, wrong):
                self.refused.append(f"item {item_id}: a wrong dial was taken for a right one")
                return False
            at_us += _TYPO_MIN * _MINUTE_US
            act = self._act(job, at_us)
        why = self._call("done", at_us, act)
        if why:
            self.refused.append(f"item {item_id}: {why}")
            return False
        self._in_place(job, act, at_us)
        if job["kind"] != _BACK and job["due_day"] is not None and day > job["due_day"]:
            self.late[item_id] = day - job["due_day"]
        return True

    def _act(self, job: dict[str, Any], at_us: int) -> dict[str, Any]:
        item_id, old = job["item_id"], self._by_item[job["item_id"]]
        act: dict[str, Any] = {
            "id": _uuid(item_id, at_us, 0), "at_us": at_us, "person": "crew", "order": job["id"],
            "old": old.terminal_id, "new": "", "mode": BESIDE, "final": "", "initial": "",
            "unit": "", "decimals": 0, "modulus": 0, "photo": "", "photo_sha256": "", "note": "",
        }  # fmt: skip
        if job["kind"] == _BACK:
            new = self._street.news.get(item_id)
            if new is not None and old.register is not None:
                act["final"] = _dial(new.dials[old.asset_id].at(at_us))
                act["initial"] = _dial(self._street.olds[item_id].dials[old.asset_id].at(at_us))
            return act
        if job["path"] == _RETIRE:
            return act
        if job["path"] in _SAME:
            act["new"] = old.terminal_id
            return act
        act["new"] = job["new"]
        act["mode"] = INSTEAD if self.goes_at_once(item_id) else BESIDE
        if old.register is not None:
            act["final"] = _dial(self._street.olds[item_id].dials[old.asset_id].at(at_us))
            act["initial"] = _dial(self._street.fresh_dial(item_id, at_us))
        return act

    def goes_at_once(self, item_id: int) -> bool:
        """Whether the old terminal of an item is taken away by the visit."""
        return self._chances.hits(self._chances.instead, item_id, 9)

    def _in_place(self, job: dict[str, Any], act: dict[str, Any], at_us: int) -> None:
        item_id = job["item_id"]
        if job["kind"] == _BACK:
            self._street.back(item_id, at_us)
        elif job["path"] == _RETIRE:
            self._street.retire(item_id, at_us)
        elif job["path"] not in _SAME:
            self._street.install(item_id, job["new"], at_us, instead=act["mode"] == INSTEAD)


def _dial(value: int) -> str:
    return f"{value // 1000}.{value % 1000:03d}"


def _wrong(text: str) -> str:
    """A digit in front: ten thousands of cubic metres that nobody has burnt."""
    whole, _, rest = text.partition(".")
    return f"9{whole.zfill(6)[1:]}.{rest}" if whole.zfill(6)[0] != "9" else f"4{whole[1:]}.{rest}"


def _uuid(*numbers: int) -> str:
    return str(uuid.UUID(int=mix(*numbers) << 64 | mix(*numbers, 1)))
