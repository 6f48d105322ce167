"""No (kid, number) is given twice, wherever the power fails and whatever of the RTC survives."""

from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from node.errors import OscoreError
from node.store import numbers
from node.store.rtcstate import RtcState
from numbers_rig import Fuse, Nvs, PowerCut, Rtc

KIDS = (b"\x0a\x0b\x0c", b"\x0a\x0b\x0d")
WHICH = st.sampled_from(KIDS)
SETTINGS = settings(max_examples=300, stateful_step_count=40, deadline=None)
FINDING = settings(
    SETTINGS, phases=[Phase.generate], derandomize=True, database=None
)  # one failure is enough


class Machine(RuleBasedStateMachine):
    """A node with two keys; `made` is the class under test."""

    made: Any = numbers.Numbers

    def __init__(self) -> None:
        super().__init__()
        self.fuse = Fuse()
        self.nvs, self.rtc = Nvs(self.fuse), Rtc(self.fuse)
        self.given: list[tuple[bytes, int]] = []
        self.boot()

    def boot(self) -> None:
        """RAM is new."""
        self.fuse.left = None
        self.nvs.fault = ""
        self.nvs.reset()
        self.state = RtcState(self.rtc)
        self.state.load()
        self.numbers: dict[bytes, Any] = {}

    def of(self, kid: bytes) -> Any:
        if kid not in self.numbers:
            self.numbers[kid] = self.made(self.state, self.nvs, kid)
        return self.numbers[kid]

    def take(self, kid: bytes, count: int) -> None:
        for _ in range(count):
            self.given.append((kid, self.of(kid).next()))

    @rule(kid=WHICH, count=st.integers(1, 20))
    def contact(self, kid: bytes, count: int) -> None:
        self.take(kid, count)

    @rule(kid=WHICH)
    def settle(self, kid: bytes) -> None:
        self.of(kid).settle()

    @rule(kid=WHICH)
    def another_contact_of_the_same_life(self, kid: bytes) -> None:
        self.numbers.pop(kid, None)

    @rule()
    def another_part_saves_its_state(self) -> None:
        self.state.set("pulses", self.state.get("pulses", 0) + 1)
        self.state.save()

    @rule()
    def crash_with_rtc_memory_alive(self) -> None:
        self.boot()

    @rule()
    def power_cut(self) -> None:
        self.rtc.data = b""
        self.boot()

    @rule(at=st.integers(0, 4000))
    def rtc_memory_is_damaged(self, at: int) -> None:
        if self.rtc.data:
            data = bytearray(self.rtc.data)
            data[at % len(data)] ^= 1 << at % 8
            self.rtc.data = bytes(data)
        self.boot()

    @rule(
        kid=WHICH,
        left=st.integers(0, 12),
        count=st.integers(1, 20),
        settle=st.booleans(),
        rtc_survives=st.booleans(),
    )
    def cut_in_the_middle(
        self, kid: bytes, left: int, count: int, settle: bool, rtc_survives: bool
    ) -> None:
        """At any operation, or half-way through a write of RTC memory."""
        self.fuse.left = left
        try:
            self.take(kid, count)
            if settle:
                self.of(kid).settle()
        except PowerCut:
            pass
        if not rtc_survives:
            self.rtc.data = b""
        self.boot()

    @rule(kid=WHICH, fault=st.sampled_from(["get", "set", "commit"]), count=st.integers(1, 20))
    def nvs_fails(self, kid: bytes, fault: str, count: int) -> None:
        self.nvs.fault = fault
        try:
            self.take(kid, count)
        except OscoreError:
            pass
        finally:
            self.nvs.fault = ""

    @invariant()
    def nothing_is_given_twice(self) -> None:
        assert len(set(self.given)) == len(self.given)


def test_no_number_is_given_twice() -> None:
    run_state_machine_as_test(Machine, settings=SETTINGS)


class SavesAfterUse(numbers.Numbers):  # type: ignore[misc]
    """Persist-ahead off: NVS and RTC memory learn of a number once it was given."""

    def next(self) -> int:
        held = self._held()
        number: int = self._limit() if held is None else held
        self._given = number + 1
        return number

    def keep(self) -> None:
        try:
            self._nvs.set_i32(self._name, self._given)
            self._nvs.commit()
        except OSError as e:
            raise OscoreError(str(e)) from None
        self._save(self._given)


class AfterUse(Machine):
    made = SavesAfterUse

    def take(self, kid: bytes, count: int) -> None:
        for _ in range(count):
            super().take(kid, 1)
            self.of(kid).keep()


class WithoutRtcStep(Machine):
    """RTC memory learns of the next number only when the contact settles."""

    class made(numbers.Numbers):  # type: ignore[misc]
        def _reserve(self) -> None:
            kept = self._state.get("piv")
            super()._reserve()
            self._state.set("piv", kept)
            self._state.save()

        def settle(self) -> None:
            self._save(self._next)


class WithoutCommit(Machine):
    class made(numbers.Numbers):  # type: ignore[misc]
        def __init__(self, state: Any, nvs: Any, kid: bytes) -> None:
            super().__init__(state, nvs, kid)

            class Uncommitted:
                get_i32, set_i32 = nvs.get_i32, nvs.set_i32

                def commit(self) -> None:
                    pass

            self._nvs = Uncommitted()


class ForAnyKid(Machine):
    """RTC memory is believed whosever it is."""

    class made(numbers.Numbers):  # type: ignore[misc]
        def _held(self) -> int | None:
            held = self._state.get("piv")
            return None if held is None else int(held[1])


@pytest.mark.parametrize("sabotaged", [AfterUse, WithoutRtcStep, WithoutCommit, ForAnyKid])
def test_without_a_guard_a_nonce_is_reused(sabotaged: type[Machine]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(sabotaged, settings=FINDING)
