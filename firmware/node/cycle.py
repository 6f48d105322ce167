"""One wake: sense, store, link, deliver, receive. It ends by itself before the watchdog's cap."""

import asyncio
import os
import time

import machine
from micropython import const

from node import clock, config
from node.due import Due
from node.errors import ConfigError, DeliverTimeout, JournalError, NodeError
from node.modules import forget
from node.power.energy import Energy
from node.wire import receipt, uplink

_BUTTON = machine.EXT1_WAKE  # somebody stands at the node and wants it to report now
_FETCH_MOST = const(4096)  # bytes of an item; a larger one is left, and so refused
_CLOSE_MS = const(15_000)  # kept of the cap for shutting the link down
_SPARE_MS = const(3_000)
_CRASHES = const(3)  # so many lives in a row that ended before their sleep
_Q_ITEM = const(900)  # wire/quantity.py
_Q_RESULT = const(901)
_Q_DETAIL = const(902)
_FORGED = const(2)  # wire/command.py
_REVERTED = const(12)
_ALARM = const(2)  # store/journal.py
_AT_ONCE = const(2)  # of RTC `urgent`: somebody waits for it, or a valve closes; 1: an event
_SENSE = const(1)  # phases of power/energy.py
_SEND = const(3)
_LISTEN = const(4)
_NO_ENTRY = const(2)  # ENOENT
_NOT_CONFIRMED = const(3)  # why an update goes back: wire/release.py
_SELFTEST = const(6)
_L_CONTACT_FAILED = const(2)  # wire/logcode.py
_L_CONTACT = const(3)
_L_POLL_CUT = const(9)


class Cycle(Due):
    """What a node does each time it wakes. `open_link` is a callable: most wakes need none."""

    def __init__(self, values: dict, state, journal, role, open_link, voucher=None) -> None:
        Due.__init__(self, values, state, journal, role, voucher)
        self._open_link = open_link
        self.reconfigured = False  # the fleet has changed the configuration: a boot takes it
        self.reboot = False  # the fleet wants one, once the wake is over
        self._talked = False  # a contact was made, or tried, in this wake
        self._reported = False  # a receipt for a report came in this contact
        self._heard = False  # the fleet has acknowledged a report of this life
        self._sensed = False
        self._telling: "list | None" = None  # what the status of this contact's reports is news of
        self.energy = Energy(state)

    async def run(self, reason: int) -> None:
        """One wake for `reason` (machine.wake_reason())."""
        self._sensed = self._talked = False
        self._woke = time.ticks_ms()
        role = self._role
        self.energy.woken(getattr(role, "counting", False))
        self._state.set("wakes", self._state.get("wakes", 0) + 1)
        # A node that dies whenever it senses makes its contact first: somebody may mend it.
        limps = self._state.get("crn", 0) >= _CRASHES
        if not limps:
            await self._look(reason)
        if self._contact_due(reason):
            self._sensed = self._sensed or limps
            await self._talk(reason)
            if limps:
                self._journal.put_away()
                self._state.save()
            # The contact took its time: the sensor may have called, or a slot have begun.
            if role.called():
                reason = machine.EXT0_WAKE
            elif self._sensed:
                reason = machine.TIMER_WAKE
            self._sense(reason)
        elif limps:
            await self._look(reason)
        self._state.set("crn", 0)
        if self.on_trial and self._heard:
            self._prove()
        if self._talked and self._state.get("upd") != 0:
            if self._state.get("upd") is None and not _has_files():
                self._state.set("upd", 0)
            else:
                self._update()

    def _prove(self) -> None:
        # Sense, store, link and receipt went well with what is on trial: it stays. Without a
        # journal nothing would be kept: that is no version to stay with.
        from node.update import slots

        try:
            self._journal()
        except JournalError:
            slots.give_up(_SELFTEST)
            self.reboot = True
        else:
            try:
                if not slots.confirm():
                    self.reboot = True  # the fleet has taken it back in this contact
            except OSError:
                return  # storage does not take it: the next contact tries again
        self.on_trial = False
        forget("node.update")

    def _try(self) -> None:
        # The supervisor counts the contacts of what is on trial: those that ended and proved
        # nothing. Who browns out in one ends none.
        from node.update import slots

        try:
            if slots.contact():
                self.reboot = slots.give_up(_NOT_CONFIRMED) or self.reboot
        except OSError:
            pass  # the pointer cannot be read now: the boots and the time are counted still
        forget("node.update")

    async def _look(self, reason: int) -> None:
        if hasattr(self._role, "poll"):
            await self._poll(self._role)
        if clock.is_set():
            self._standing()  # before anything is recorded: see Commands.recover
            self._sense(reason)

    async def _poll(self, role) -> None:
        # Half the cap: what hangs on a bus must not cost the contact.
        cap_ms = self._config["awake_s"] * 500
        try:
            await asyncio.wait_for_ms(role.poll(clock.now()), cap_ms)
        except asyncio.TimeoutError:
            self._log(1, _L_POLL_CUT, cap_ms)

    def _log(self, level: int, code: int, argument: int) -> None:
        if level <= self._state.get("lvl", 1):
            from node import log

            log.note(self._state, level, code, argument)
            forget("node.log")

    def _sense(self, reason: int) -> None:
        quality = uplink.GOOD if self._state.get("clock_sure") else uplink.ESTIMATED
        self._sensed = True
        try:
            self._role.sense(clock.now(), reason, quality)
        except JournalError as e:
            # No room for it, and counted as dropped: the contact is what makes room.
            self._failed(e)

    async def _talk(self, reason: int) -> None:
        # One contact within the cap, and what follows from it.
        # What polling took is gone: the watchdog counts from the wake on.
        cap_ms = self._left_ms(_CLOSE_MS)
        answers: list = []
        items: list = []
        self._telling = None
        self._talked = True
        self._reported = False
        if self.on_trial:
            self._state.set("told", None)  # there must be a report, or nothing is proved
        error = cause = 0
        began = clock.now()
        self.energy.contact()
        self._state.set("btn", int(reason == _BUTTON))
        try:
            await asyncio.wait_for_ms(self._contact(reason, answers, items), cap_ms)
        except asyncio.TimeoutError:
            error = DeliverTimeout.code
        except NodeError as e:
            error, cause = e.code, e.cause
        self.energy.enter(_SENSE)
        forget("node.link node.update")
        before = self._depth()
        self._guess_time()  # before a time is set by which to come back
        try:
            for got in answers:
                if got.ranges and not self._journal().trim(got.epoch, got.ranges):
                    error = DeliverTimeout.code  # it covers nothing that was sent
        except JournalError as e:
            error = e.code  # what could not be trimmed is sent again
        if answers and self._telling:
            self._state.set("told", self._telling)
            self._state.set("why", 0)
        for got in answers:
            if got.time:
                from node import timekeeping

                timekeeping.signed(self._state, got.time)
                forget("node.timekeeping")
        if error:
            from node import retry

            retry.failed(self._state, error, cause)
            forget("node.retry")
            if reason == _BUTTON:  # who asked for it waits, records or none
                self._state.set("urgent", self._state.get("urgent") or 1)
            self._log(1, _L_CONTACT_FAILED, error << 16 | cause & 0xFFFF)
        else:
            self._heard = self._heard or self._reported
            self._contacted(before)
            if self._voucher and self.reconfigured:  # who provisions it waits for its first report
                self._voucher = None
                self._state.set("next_report", 0)
            self._log(2, _L_CONTACT, clock.now() - began)
        if (answers or error) and config.on_trial():
            self._judge(not error)
        if self.on_trial and not self._heard:
            self._try()
        if items:
            self._obey(items)

    async def _contact(self, reason: int, answers: list, items: list) -> None:
        # The receipts come into `answers`, what they brought into `items`, whatever becomes of
        # the rest.
        ready = None
        if not self._sensed and not self._voucher:
            # What is sensed wants a time, and the heap has no room for role and link at once: so
            # the time has a link of its own.
            await self._ask_time()
            self._standing()
            self._sense(reason)
            ready = self._ready()
            if not (ready or self._state.get("urgent") or reason == _BUTTON):
                return
        elif self._state.get("clock_sure") and not self._voucher:
            ready = self._ready()  # while there is no link beside it in the heap
        session = getattr(self._role, "session", None)
        if not session:
            self._put_role_away()
        link = self._open_link()
        door = None
        try:
            await link.open()
            await self._learn_time(link)
            if self._voucher:
                await self._claim(link)
                return
            done = self._standing()[1]
            reports = self._ready() if ready is None else ready
            fetches = self._fetches()
            if not (reports or fetches or self._state.get("urgent") or reason == _BUTTON):
                return
            self.energy.enter(_SEND)
            door = await link.door()
            if not reports and (not fetches or self._state.get("urgent")):
                answers.append(receipt.decode(await door.poll(door.RECEIPT_MS)))
            while reports:
                report, whole = reports.pop(0)
                last = not (reports or fetches)
                answer = await door.deliver(report, whole, door.RECEIPT_MS, last)
                answers.append(receipt.decode(answer))
                self._reported = True
            self.energy.enter(_LISTEN)
            for item in [item for got in answers for item in got.items]:
                if item[0] > done:
                    if not isinstance(item[2], bytes) and item[2] <= _FETCH_MOST:
                        item[2] = await door.fetch(item[0], item[2], door.RECEIPT_MS)
                    items.append(item)
                    done = item[0]
            if session:
                await self._role.converse(door, self._left_ms(2 * _CLOSE_MS))
            if fetches and not items:  # items may be in a hurry; and https.py shuts the door
                from node.update import fetching

                await fetching.go_on(self._state, link, door, self._left_ms(_CLOSE_MS + _SPARE_MS))
        finally:
            door = None  # what it holds is not needed to shut the link down
            await link.close()

    def _left_ms(self, kept_ms: int) -> int:
        # Of the wake, whose end the watchdog is, but for what is kept.
        left = self._config["awake_s"] * 1000 - kept_ms
        return left - time.ticks_diff(time.ticks_ms(), self._woke)

    async def _ask_time(self) -> None:
        self._put_role_away()
        link = self._open_link()
        try:
            await link.open()
            await self._learn_time(link)
        finally:
            await link.close()
            link = None
            forget("node.link")

    def _put_role_away(self) -> None:
        put_away = getattr(self._role, "put_away", None)
        if put_away:
            put_away()

    async def _claim(self, link) -> None:
        self._journal.put_away()
        link.voucher = self._voucher
        from node import claim

        await claim.redeem(link, self._config)
        self.reconfigured = True

    def _ready(self) -> list:
        # The reports of this contact. After power came back the fleet is told, records or none:
        # somebody waits for it.
        state = self._state
        news = state.get("urgent") or state.get("told") is None or state.get("crash")
        if state.get("upd") and not state.get("clock_sure"):
            news = True  # it has an end, and so needs the time
        if not (self._depth() or news):
            return []
        from node import reports

        try:
            journal = self._journal()
        except JournalError as e:
            self._failed(e)
            from node.store.nojournal import NoJournal

            journal = NoJournal()
            state.set("told", None)  # the status is all that there is to tell
        made, self._telling = reports.make(
            journal, state, self._standing(), self._config["ledger_s"]
        )
        forget("node.reports node.wire.compact node.store.nojournal")
        self._journal.put_away()
        return made

    def _obey(self, items: list) -> None:
        # Last of all, with all that the contact brought put away: what goes wrong in here must
        # not have the contact repeated.
        self._journal.put_away()
        self._state.set("items", None)  # where the watchdog bites in here, NVS is asked again
        self._state.save()
        from node import downlink

        results: list = []
        try:
            if downlink.handle(items, results, self._command, self._config["node"]):
                self.reconfigured = True  # it may be so already: a trial that was given up
        except ConfigError as e:
            self._failed(e)
        if self.reconfigured:
            self._state.set("lvl", -1)  # of the log: the next boot asks the configuration
        self._state.set("items", downlink.standing())
        forget("node.downlink node.update node.fleetkey node.link")
        if receipt.UPDATE in [kind for _, kind, _ in items]:
            self._state.set("upd", None)  # it is looked at when the wake is over
        if self.reconfigured:
            self._state.set("urgent", _AT_ONCE)  # a configuration on trial
        self._answer(results)

    def _update(self) -> None:
        # Last of all, with nothing else in the heap: an update goes on with what has come of it.
        self._journal.put_away()
        self._state.save()
        from node.update import work

        results: list = []
        urgent = self._state.get("urgent", 0)
        if work.go_on(self._state, self._config, results, self._left_ms(0)):
            self.reboot = True
            if config.on_trial():
                self._state.set("urgent", _AT_ONCE)
        if results:
            if self._answer(results):
                work.told(results[0][0])
                self._state.set("upd", None)  # the next contact sees that it is gone
            if not results[0][1]:
                self._state.set("urgent", urgent)  # that it runs the fleet knows by now
        forget("node.update")

    def _answer(self, results: list) -> bool:
        # What became of items, (number, result, detail) each: the fleet waits for it. Whether the
        # journal has it.
        kept = True
        for number, result, detail in results:
            values = [(_Q_ITEM, number), (_Q_RESULT, result), (_Q_DETAIL, detail)]
            try:
                self._journal().append(
                    uplink.encode_body(clock.now(), uplink.GOOD, values), _ALARM
                )
                if result != _FORGED:  # whoever can forge could else cause contacts without end
                    self._state.set("urgent", _AT_ONCE)
            except JournalError as e:
                self._state.set("error", e.code)
                kept = False
        return kept

    def _judge(self, reached: bool) -> None:
        # A configuration is on trial until the fleet was reached with it.
        from node import configure

        if reached:
            configure.proved()
        else:
            number = configure.failed()
            if number is not None:
                self.reconfigured = True
                self._state.set("items", None)
                if number:  # else it came with the node's identity, and was no item
                    self._answer([(number, _REVERTED, 0)])
        forget("node.configure")

    def _command(self, number: int, payload: bytes, begin=None) -> "int | None":
        from node.commands import Commands

        commands = Commands(self._config, self._state, self._journal, self._role)
        result = 0
        if begin:
            result = commands.obey(number, payload, begin)
        else:
            commands.recover()
        self.reboot = self.reboot or commands.reboot
        forget("node.commands node.fleetkey node.wire.command node.log")
        if begin:
            forget("node.link")  # it lent its HMAC; a contact that begins needs it still
        return result

    def _standing(self) -> "list[int]":
        # Numbers of the fleet's items: applied, handled, refused. NVS has them when RTC has not.
        standing = self._state.get("items")
        if standing is None:
            from node import downlink

            standing = downlink.standing()
            begun = downlink.begun()
            forget("node.downlink")
            try:
                if begun:
                    self._command(0, b"")  # one that a power cut or the watchdog ended is told
                self._state.set("items", standing)
            except JournalError as e:
                self._failed(e)  # told once it can be kept
        back = self._state.get("back")
        if back:  # a configuration on trial, which App took back
            self._state.set("back", 0)
            self._answer([(back, _REVERTED, 0)])
        return standing

    async def _learn_time(self, link) -> None:
        from node import timekeeping

        await timekeeping.learn(self._state, link, self._config)
        timekeeping.guess(self._state, self._journal)
        forget("node.timekeeping node.log")

    def _guess_time(self) -> None:
        if not clock.is_set():
            from node import timekeeping

            timekeeping.guess(self._state, self._journal)
            forget("node.timekeeping")


def _has_files() -> bool:
    # Whether there is anything of an update: what goes on with one is much to load.
    try:
        return bool(os.listdir("/update"))
    except OSError as e:
        return e.errno != _NO_ENTRY
