"""What a timeline's events do to a modem."""

from typing import TYPE_CHECKING

from hil.virtual.modem.timeline import Action, Event

if TYPE_CHECKING:
    from hil.virtual.modem.cellular import Cellular

DETACHED_S = 1.0


def actions(modem: "Cellular") -> dict[str, Action]:
    """One for each of timeline.ACTIONS."""

    def after_that(event: Event, undo: Action) -> None:
        if event.for_s is not None:
            modem.timeline.later(event.for_s, lambda: undo(event))

    def detach(event: Event) -> None:
        modem.network.detach(int((event.for_s or DETACHED_S) * 1_000_000))

    def refuse(event: Event) -> None:
        modem.network.refuse(event.cause)
        after_that(event, lambda _: modem.network.refuse(None))

    def lose_coverage(event: Event) -> None:
        modem.network.set_coverage(False)
        after_that(event, lambda _: modem.network.set_coverage(True))

    def hang(event: Event) -> None:
        modem.hung = True
        after_that(event, go_on)

    def go_on(_: Event) -> None:
        modem.hung = False

    def fall_silent(_: Event) -> None:
        modem.mute = True

    def remove_sim(_: Event) -> None:
        modem.sim.present = False
        modem.silence()
        modem.family.on_registration()

    def exhaust_plan(_: Event) -> None:
        modem.sim.left = 0
        modem.deactivate()

    return {
        "detach": detach,
        "refuse": refuse,
        "deactivate": lambda _: modem.deactivate(),
        "coverage_lost": lose_coverage,
        "cell_change": lambda _: modem.network.change_cell(),
        "restart": lambda _: modem.restart(),
        "shut_down": lambda _: modem.shut_down(),
        "brown_out": lambda _: modem.brown_out(),
        "sleep": lambda _: modem.fall_asleep(),
        "mute": hang,
        "dead": fall_silent,
        "sim_removed": remove_sim,
        "plan_exhausted": exhaust_plan,
    }
