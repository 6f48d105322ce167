"""Deliveries of commands to a gas meter, with all that may befall them: `make soak-valve`.

Dropped, doubled, out of order, replayed, for another node, expired, damaged, power cuts between
any two steps of the node. The firmware's own modules run over a world of Python: NVS, RTC memory,
journal, valve, button.
"""

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import esp32
from numbers_rig import PowerCut
from valve_rig import SHUT, Meter, Modules, World, firmware

from fleet.wire import command
from tests.bench.valve_world import FOREIGN, Enemy, Fleet, Referee, watch

DELIVERIES = 1_000_000
_KEEP = 4000  # records of the journal: what is older was receipted


@dataclass
class Outcome:
    """What a campaign counted. `wrong` must be empty, and so must `silent`: commands that ended
    at the node and of which nothing was ever reported."""

    deliveries: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    cuts: int = 0
    given: int = 0
    executed: int = 0
    openings: int = 0
    results: Counter[int] = field(default_factory=Counter)
    passed_over: int = 0  # numbers behind one that an enemy had delivered first
    silent: list[int] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)


class Campaign:
    """One node, one fleet, one enemy, from one seed."""

    def __init__(self, world: World, modules: Modules, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = world
        self.meter = Meter(world, modules)
        self.fleet = Fleet(self.chance)
        self.enemy = Enemy(self.chance, self.fleet)
        self.referee = Referee(self.meter)
        self.out = Outcome()
        self.told: dict[int, list[int]] = {}  # results by number, forgeries left out
        watch(self.meter, modules, self.referee)

    def run(self, deliveries: int) -> Outcome:
        """So many; then all that is left comes through."""
        while self.out.deliveries < deliveries:
            self._wake()
        self.world.rtc_time = True
        for number in sorted(self.fleet.open):
            self._boot(False)
            self._contact([self._fresh(number)], "at the end")
            self._settle()
        return self._finish()

    def _wake(self) -> None:
        chance, world = self.chance, self.world
        world.ms += int(chance.expovariate(1 / 200_000)) + 1000
        if chance.random() < 0.02:
            world.ms += chance.randint(0, 86_400_000)
        world.pressed = [press for press in world.pressed if press[1] > world.ms - 3600_000]
        if self.referee.leave and chance.random() < 0.3:  # whoever has leave stands at the meter
            world.pressed.append((world.ms - 100, world.ms + 5000))
            self._look_by_button()
        if chance.random() < 0.15:
            begin = world.ms - chance.randint(0, 2000)
            world.pressed.append((begin, begin + chance.choice((200, 2500, 5000, 9000, 4000_000))))
        if chance.random() < 0.1:
            world.fuse.left = int(chance.expovariate(1 / 40))
        try:
            if chance.random() < 0.3:
                self.meter.look(button=world.button())
            items, kind = self._offered()
            if items:
                self._contact(items, kind)
            if chance.random() < 0.3:
                self.meter.boot(rtc_kept=True)  # from its deep sleep
                self.meter.start()
                self.meter.look(button=world.button())
        except PowerCut:
            self._cut()
        world.fuse.left = None
        self._settle()

    def _look_by_button(self) -> None:
        if self.chance.random() < 0.3:
            self.world.fuse.left = int(self.chance.expovariate(1 / 100))
        try:
            self.meter.look(button=True)
        except PowerCut:
            self._cut()
        self.world.fuse.left = None

    def _cut(self) -> None:
        # Back on, perhaps to fail once more. RTC memory outlives a brown-out that was short.
        self.out.cuts += 1
        kept = self.chance.random() < 0.3
        while True:
            try:
                self._boot(kept)
                if self.chance.random() < 0.3:
                    self.world.fuse.left = int(self.chance.expovariate(1 / 20))
                self.meter.start()
                self.meter.look(button=self.world.button())
                self.meter.state.save()
                return
            except PowerCut:
                self.out.cuts += 1
                kept = kept and self.chance.random() < 0.5

    def _boot(self, kept: bool) -> None:
        if not kept:
            self.referee.leave = None  # leave goes with the power
        self.meter.boot(rtc_kept=kept, sure=self.chance.random() < 0.9)

    def _fresh(self, number: int) -> tuple[int, bytes]:
        frame = self.fleet.hand_over(number, self.world.now)
        self.referee.known[frame.payload] = frame
        return number, frame.payload

    def _offered(self) -> tuple[list[tuple[int, bytes]], str]:
        chance, fleet = self.chance, self.fleet
        if chance.random() < 0.45:
            kind, number, payload = self.enemy.sends(self.world.now)
            return [(number, payload)], kind
        if len(fleet.open) < 6 and chance.random() < 0.7:
            fleet.ask()
        items = [self._fresh(number) for number in sorted(fleet.open)[: chance.randint(1, 4)]]
        if not items:
            return [], ""
        fate = chance.random()
        if fate < 0.2:
            self.out.deliveries += len(items)
            self.out.kinds["dropped"] += len(items)
            return [], ""
        if fate < 0.3:
            return items + items, "twice at once"
        if fate < 0.4:
            return items[::-1], "out of order"
        if fate < 0.5:
            self.world.ms += chance.randint(0, 1200_000)
            return items, "late"
        return items, "in order"

    def _contact(self, items: list[tuple[int, bytes]], kind: str) -> None:
        self.out.deliveries += len(items)
        self.out.kinds[kind] += len(items)
        self.meter.deliver(*items)
        if self.chance.random() < 0.3:  # the receipt is lost: the same again, at once
            self.out.deliveries += len(items)
            self.out.kinds["doubled"] += len(items)
            self.meter.deliver(*items)

    def _settle(self) -> None:
        # The fleet hears what the journal has, and closes what has ended.
        journal = self.meter.journal
        for number, result, _ in journal.results():
            if result == command.FORGED:
                self.out.results[result] += 1
            else:
                self.told.setdefault(number, []).append(result)
                self.out.results[result] += 1
                self.fleet.open.pop(number, None)
        journal.bodies = journal.bodies[-1:] if not journal.results() else []
        handled = esp32.flash.kept.get("down", 0)
        assert isinstance(handled, int)
        for number in [n for n in self.fleet.open if n <= handled and not self._begun(n)]:
            del self.fleet.open[number]
            self.out.passed_over += 1
            self.told[number] = []
        if len(self.fleet.sent) > _KEEP:
            for frame in self.fleet.sent[: _KEEP // 2]:
                self.referee.known.pop(frame.payload, None)
            del self.fleet.sent[: _KEEP // 2]

    @staticmethod
    def _begun(number: int) -> bool:
        return esp32.flash.kept.get("cmd", 0) == number

    def _finish(self) -> Outcome:
        out, referee = self.out, self.referee
        out.given, out.openings = self.fleet.given, referee.openings
        out.executed = sum(referee.executed.values())
        out.wrong = referee.wrong
        for number in range(1, self.fleet.given + 1):
            results = self.told.get(number)
            if results is None or (not results and referee.executed[number]):
                out.silent.append(number)
            elif len(results) > 1:
                out.wrong["two results"] += 1
            elif results == [command.DONE] and not referee.executed[number]:
                out.wrong["told as done and not done"] += 1
        if 0 < self.world.position < SHUT:
            out.wrong["left between its stops"] += 1
        return out


def campaign(deliveries: int, seed: int, sabotage: Any = None) -> Outcome:
    """One run; `sabotage(modules)` takes a guard away first."""
    world = World()
    with firmware(world) as modules:
        if sabotage is not None:
            sabotage(modules)
        return Campaign(world, modules, seed).run(deliveries)


def text(out: Outcome) -> str:
    """For people."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in out.kinds.most_common())
    names = {
        command.DONE: "done", command.EXPIRED: "expired", command.FORGED: "forged",
        command.NO_CLOCK: "without a clock", command.FAILED: "failed",
        command.NOT_ARMED: "not armed",
    }  # fmt: skip
    results = ", ".join(f"{n} {names.get(r, r)}" for r, n in out.results.most_common())
    return (
        f"deliveries {out.deliveries}: {kinds}\n"
        f"power cuts {out.cuts}, commands {out.given}, executed {out.executed}, "
        f"passed over {out.passed_over}, opened at the meter {out.openings}\n"
        f"results {results}\n"
        f"executed twice {out.wrong['twice']}, after the end {out.wrong['after its end']}, "
        f"opened without local action {sum(n for w, n in out.wrong.items() if 'opened' in w)}, "
        f"not the fleet's {out.wrong[FOREIGN]}, "
        f"never reported {len(out.silent)}"
    )


def main() -> int:
    """Exit code 0 when nothing happened that must not."""
    parser = argparse.ArgumentParser(prog="make soak-valve")
    parser.add_argument("--deliveries", type=int, default=DELIVERIES)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    out = campaign(arguments.deliveries, arguments.seed)
    print(text(out))
    print(f"{time.monotonic() - began:.0f} s")
    bad = +out.wrong
    if bad or out.silent:
        print(f"wrong: {dict(bad)}, never reported: {out.silent[:20]}")
    return 1 if bad or out.silent else 0


if __name__ == "__main__":
    sys.exit(main())
