"""How long a command needs at worst until it has closed a valve, by reporting plan, and what it
costs to be reached so soon. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.battery.figures import Chip
from fleet.battery.measured import Contact, Sense

# 3GPP TS 24.008 10.5.5.32: the eDRX cycles of NB-IoT that are asked for here, in seconds; 2.56 is
# ordinary paging.
CYCLES_S = (2.56, 20.48, 81.92, 655.36, 2621.44, 10485.76)
PERIODS = ("daily", "6h", "hourly")
RETRY_S = 75  # behind a contact that failed: 60 s and up to a quarter (node/cycle.py)
_BUSY_S = 300  # a flow at its limit wakes the chip within so long (roles/gas_meter.py)
_SOON = 5  # pulses until that flow is judged (roles/gas_safety.py)
_HOUR_S = 3_600


@dataclass(frozen=True)
class Latency:
    """Worst seconds from the command's approval to the closed valve. `failed_s`: where one contact
    fails first, all of whose time is used up."""

    wait_s: float
    contact_s: float
    drive_s: float
    failed_s: float

    @property
    def worst_s(self) -> float:
        """All together, where the network is there."""
        return self.wait_s + self.contact_s + self.drive_s


def remote(
    wait_s: float, contact: Contact, chip: Chip, drive_s: float, awake_s: int, *, attach: bool
) -> Latency:
    """`wait_s` is the report's period, or the paging cycle. Then the chip boots, `attach`: the
    modem wakes from power saving, the report goes out, the answer has the command, the link is
    closed, and the motor runs up to `drive_s`.
    """
    phases = contact.boot_ms + contact.sense_ms + contact.send_ms + contact.listen_ms
    if attach:
        phases += contact.attach_ms
    work_s = contact.turns * chip.vm.turn_us / 1_000_000
    return Latency(wait_s, phases / 1000 + work_s, drive_s, awake_s + RETRY_S)


def by_itself(
    config: Mapping[str, int], sense: Sense, chip: Chip, drive_s: float
) -> dict[str, float]:
    """Worst seconds from a danger's beginning to the closed valve, by event, whatever the plan:
    the node closes before it tells anybody. Only what `config` watches.
    """
    wake_s = (sense.boot_ms + sense.sense_ms) / 1000 + sense.turns * chip.vm.turn_us / 1_000_000
    pulse = config["litres_per_pulse"] * _HOUR_S
    found: dict[str, float] = {}
    if config["gas_permille"]:  # its contact calls; a second wake when the time is over
        found["gas"] = 2 * wake_s + config["gas_s"] + drive_s
    if config["quake_mg"]:
        found["earthquake"] = wake_s + config["quake_s"] + drive_s
    for name in ("burst", "over_flow"):
        limit = config[f"{name}_l_h"]
        if limit:
            soon = max(config[f"{name}_s"], _SOON * pulse // limit)
            found[name] = _BUSY_S + 2 * wake_s + soon + drive_s
    if config["leak_l_h"]:
        # Twice the limit: two pulses until the flow is sure, looked at each hour.
        pulses = 2 * pulse / (2 * config["leak_l_h"])
        found["leak"] = config["leak_s"] + pulses + _HOUR_S + drive_s
    return found
