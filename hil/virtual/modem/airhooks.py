"""What the air is given: a scenario's numbers, and what it asks of the modem."""

from collections.abc import Callable
from dataclasses import dataclass

from hil.virtual.modem.radio import Link


@dataclass(frozen=True)
class AirOptions:
    """`loss`: chance that a packet is lost somewhere between modem and host, either way.

    Of datagrams only, either way: `duplicate` is the chance that one comes twice, the second time
    up to `late_s` later; `reorder` that it comes `late_s` late (least and most), behind others.
    """

    inactivity_s: float = 10.0
    loss: float = 0.0
    delay_s: float = 0.0  # one way, on top of the radio's and the core network's
    duplicate: float = 0.0
    reorder: float = 0.0
    late_s: tuple[float, float] = (0.5, 20.0)


@dataclass(frozen=True)
class AirHooks:
    """What the air asks of the modem."""

    cell: Callable[[], Link | None]  # None: there is none, or none that is good enough
    bearer: Callable[[], Link | None]  # for packets: registered, and with a data connection
    reachable_us: Callable[[], int | None]  # when idle: the next paging occasion, None in PSM
    accessed: Callable[[], None]  # from idle to connected
    moved: Callable[[], None]  # `idle_at_us` may have changed
    spent: Callable[[int], None]  # octets of IP packets, both ways
    brown_out: Callable[[], None]
