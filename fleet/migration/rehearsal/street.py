"""The streets of a rehearsal: what flows, what is installed, and who hears what of it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from fleet.migration.rehearsal.chances import Chances
from fleet.migration.rehearsal.devices import NewDevice, OldDevice
from fleet.migration.rehearsal.facts import Old
from fleet.migration.rehearsal.flows import DAY_US, UNIT, Dial, Flow, mix
from fleet.migration.rehearsal.radio import Air
from fleet.migration.rehearsal.speaking import Contact, Told

Call = Callable[..., Any]
_AT_ONCE: Final = 400
_ROUNDS: Final = 60  # of deliveries, until all is through at the end
_OUT_DAYS: Final = 3  # how long a silent terminal is out, at least
SHIFT_US: Final = 8 * 3600 * 1_000_000  # midnight in China


class Sum(NamedTuple):
    """Of a terminal's readings: how many, and sums that tell a wrong one."""

    readings: int = 0
    values: int = 0
    times_s: int = 0


class Street:
    """All terminals of a programme. Times are us UTC; a day begins at midnight in China."""

    def __init__(
        self, olds: Sequence[Old], chances: Chances, start_us: int, window_h: int, air: Air
    ) -> None:
        self.chances = chances
        self.start_us = start_us
        self.air = air
        self.flows: dict[int, Flow] = {}
        self.olds: dict[int, OldDevice] = {}
        self.news: dict[int, NewDevice] = {}  # by item: what is in place
        self._left: list[NewDevice] = []  # removed, with something to tell yet
        self.sent: dict[str, Sum] = defaultdict(Sum)
        self._window_h = window_h
        self.counts: Counter[str] = Counter()
        # By asset with a register, as told and not as the fleet says: its bill begins at the
        # first reading that got through before its item was ready.
        self.began: dict[int, int] = {}
        self._heard: dict[int, int] = {}  # the first that got through until now
        self._asked: dict[int, dict[int, int]] = {}  # by item, when it was to be made ready
        self._last: dict[int, int] = {}  # told
        for old in olds:
            self.olds[old.item_id] = OldDevice(old, self._old_dials(old), start_us)

    def _old_dials(self, old: Old) -> dict[int, Dial]:
        dials = {}
        if old.register is not None:
            # The dial's places in the register's scale: what is told is in whole units of it.
            modulus = int(10 ** (old.digits - old.decimals + 3)) if old.digits else None
            flow = self._flow(old.asset_id)
            dials[old.asset_id] = Dial(flow, self._since(flow, old.asset_id, modulus), modulus)
        for meter in old.meters:
            if meter.register is not None:
                flow = self._flow(meter.asset_id)
                dials[meter.asset_id] = Dial(flow, flow.base - mix(meter.asset_id) % 10**5 * UNIT)
        return dials

    def _flow(self, asset_id: int) -> Flow:
        base = (1 + mix(self.chances.seed, asset_id) % 10**4) * UNIT
        return self.flows.setdefault(
            asset_id, Flow(mix(self.chances.seed, asset_id, 1), self.start_us - SHIFT_US, base)
        )

    def _since(self, flow: Flow, asset_id: int, modulus: int | None) -> int:
        """Some dials begin anew within days, the others show what they like."""
        if modulus is None:
            return flow.base - mix(asset_id) % 10**5 * UNIT
        ahead = 1 + mix(asset_id, 2) % 400 if mix(asset_id, 3) % 5 == 0 else mix(asset_id) % 10**5
        shown = (modulus // UNIT - ahead) * UNIT if mix(asset_id, 3) % 5 == 0 else ahead * UNIT
        return flow.base - shown % modulus

    def install(self, item_id: int, node_id: str, at_us: int, *, instead: bool) -> NewDevice:
        """A node is put in place of an item's terminal, or beside it."""
        device = self.olds[item_id]
        dials = {}
        for asset_id, dial in device.dials.items():
            if asset_id == device.old.asset_id:
                # A new counter on the same pipe: it shows some litres of its test.
                flow = self.flows[asset_id]
                dials[asset_id] = Dial(flow, flow.at(at_us) - self.fresh_dial(item_id, at_us))
            else:
                dials[asset_id] = dial  # a meter on the line stays what it is
        new = NewDevice(node_id, device.old, dials, at_us, self._window_h)
        self.news[item_id] = new
        if instead:
            device.gone_us = at_us
            if device.old.asset_id in dials:
                device.dials[device.old.asset_id].take_off(at_us)
        return new

    def ask(self, item_ids: Iterable[int]) -> None:
        """The office wants these made ready now, for the first time."""
        for item_id in item_ids:
            dials = self.olds[item_id].dials
            self._asked[item_id] = {
                asset_id: self._heard[asset_id] for asset_id in dials if asset_id in self._heard
            }

    def begin(self, item_ids: Iterable[int]) -> None:
        """These are not only planned any more: since they were asked for they are billed."""
        for item_id in item_ids:
            for asset_id, at_us in self._asked.pop(item_id, {}).items():
                self.began.setdefault(asset_id, at_us)

    def billable(self, end_us: int) -> dict[int, tuple[int, int]]:
        """By asset that has a register, from when to when what flows there is to be billed: to
        the end, or, where nobody follows a terminal, to the last that it told.
        """
        gone = {
            asset_id
            for item_id, device in self.olds.items()
            if device.gone_us is not None and item_id not in self.news
            for asset_id in device.dials
        }
        found = {}
        for asset_id in self.flows:
            begin = self.began.get(asset_id, end_us)
            found[asset_id] = (
                begin,
                self._last.get(asset_id, begin) if asset_id in gone else end_us,
            )
        return found

    @staticmethod
    def fresh_dial(item_id: int, at_us: int) -> int:
        """What the new counter shows that comes to an item then."""
        return mix(item_id, at_us) % 5 * UNIT

    def retire(self, item_id: int, at_us: int) -> None:
        """The old terminal is no more."""
        self.olds[item_id].gone_us = at_us

    def is_off(self, item_id: int, at_us: int) -> bool:
        """Whether nothing comes any more of the terminal that an item replaced; it is switched off
        from now on. One that stays, on another bearer, is left alone.
        """
        device = self.olds[item_id]
        if item_id not in self.news:
            return True
        if device.gone_us is None:
            device.gone_us = at_us
        return not device.queue

    def back(self, item_id: int, at_us: int) -> None:
        """What was put in is taken out again; the old terminal is in place as before."""
        new = self.news.pop(item_id, None)
        if new is not None:
            new.gone_us = at_us
            self._left.append(new)
        device = self.olds[item_id]
        if device.gone_us is not None:
            device.from_us, device.gone_us = at_us, None
            for dial in device.dials.values():
                dial.put_on(at_us)

    def speak(self, since_us: int, until_us: int, day_us: int) -> None:
        """All whose moment of this day is in between tell what there is."""
        for device in self._there():
            at_us = day_us + device.moment_s * 1_000_000
            if since_us <= at_us < until_us and _serves(device, at_us):
                self._tell(device, at_us, keeps=not self._is_out(device, day_us))

    def speak_at(self, at_us: int) -> None:
        """All tell what there is at this moment."""
        for device in self._there():
            if _serves(device, at_us):
                self._tell(device, at_us, keeps=True)

    def _there(self) -> Iterable[OldDevice | NewDevice]:
        yield from (one for one in self.olds.values() if not one.old.is_dead)
        yield from self.news.values()

    def _tell(self, device: OldDevice | NewDevice, at_us: int, *, keeps: bool) -> None:
        for one in device.speak(at_us, keeps=keeps):
            self._note(_name(device), one)
        if isinstance(device, NewDevice):
            self.air.note(device, at_us)

    def _note(self, terminal_id: str, told: Told) -> None:
        count, values, times = self.sent[terminal_id]
        time_s = (told.time_us - self.start_us) // 1_000_000
        self.sent[terminal_id] = Sum(count + 1, values + told.value, times + time_s)
        self._last[told.asset_id] = max(told.time_us, self._last.get(told.asset_id, 0))
        self.counts["told"] += 1

    def deliver(self, call: Call, at_us: int, day_us: int) -> None:
        """What waits goes to the fleet, as far as the networks let it."""
        waiting = [one for one in self._there() if not self._is_out(one, day_us)]
        waiting += self._left
        self._deliver(call, at_us, waiting, self.chances)
        self._left = [one for one in self._left if _pending(one)]

    def drain(self, call: Call, at_us: int) -> int:
        """All that waits goes through; how much there is that nobody takes."""
        for _ in range(_ROUNDS):
            waiting = [one for one in (*self._there(), *self._left) if _pending(one)]
            if not waiting:
                return 0
            self._deliver(call, at_us, waiting, self.chances._replace(lost=0, deaf=0))
        return sum(_pending(one) for one in (*self._there(), *self._left))

    def _deliver(
        self, call: Call, at_us: int, devices: Sequence[OldDevice | NewDevice], chances: Chances
    ) -> None:
        olds = [
            (one, contact)
            for one in devices
            if isinstance(one, OldDevice)
            for contact, _ in one.queue
        ]
        olds = [pair for n, pair in enumerate(olds) if not chances.hits(chances.lost, at_us, n)]
        for start in range(0, len(olds), _AT_ONCE):
            part = olds[start : start + _AT_ONCE]
            safe = call("contacts", at_us, [contact for _, contact in part])
            for n, ((device, contact), is_safe) in enumerate(zip(part, safe, strict=True)):
                self.counts["contacts"] += 1
                if is_safe:
                    self._got(device, contact)
                if is_safe and not chances.hits(chances.deaf, at_us, start + n, 1):
                    device.queue = [each for each in device.queue if each[0] is not contact]
        news = [one for one in devices if isinstance(one, NewDevice) and one.journal]
        news = [one for n, one in enumerate(news) if not chances.hits(chances.lost, at_us, n, 2)]
        for start in range(0, len(news), _AT_ONCE):
            several = news[start : start + _AT_ONCE]
            covered = call(
                "reports", at_us, [(one.node_id, one.report(at_us), at_us) for one in several]
            )
            for n, (new, sequences) in enumerate(zip(several, covered, strict=True)):
                self.counts["reports"] += 1
                if not chances.hits(chances.deaf, at_us, start + n, 3):
                    new.covered(sequences)

    def _got(self, device: OldDevice, contact: Contact) -> None:
        for one in (told for each, told in device.queue if each is contact):
            for told in one:
                before = self._heard.get(told.asset_id, told.time_us)
                self._heard[told.asset_id] = min(before, told.time_us)

    def _is_out(self, device: OldDevice | NewDevice, day_us: int) -> bool:
        """Whether the network does not reach it that day."""
        name = int.from_bytes(_name(device).encode(), "big")
        if not self.chances.hits(self.chances.silent, name):
            return False
        begin = mix(name, 4) % 20
        day = (day_us - self.start_us) // DAY_US
        return begin <= day < begin + _OUT_DAYS + mix(name, 5) % 3


def _serves(device: OldDevice | NewDevice, at_us: int) -> bool:
    return device.from_us <= at_us and (device.gone_us is None or at_us < device.gone_us)


def _name(device: OldDevice | NewDevice) -> str:
    return device.old.terminal_id if isinstance(device, OldDevice) else device.node_id


def _pending(device: OldDevice | NewDevice) -> int:
    return len(device.queue if isinstance(device, OldDevice) else device.journal)
