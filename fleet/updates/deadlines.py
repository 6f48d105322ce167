"""How long an update may take before it counts as lost: two clocks, by size, bearer and plan.

The absolute clock starts when the update is offered and is not moved again; the step clock starts
anew with each sign of progress, and ends with the absolute one at the latest.
"""

from typing import NamedTuple

DAY_S = 86_400


class Bearer(NamedTuple):
    """How fast a stream comes in where coverage is worst.

    `goodput`: bytes of the stream a second while a contact lasts, all repeats and protocol off.
    `contact_s`: how much of a contact is left for blocks. `pause_s`: the longest between two
    contacts of a node with an update under way and a battery that is well.
    """

    goodput: int
    contact_s: int
    pause_s: int


# NB-IoT at 164 dB of coupling loss: some 200 to 400 bit/s up, so a block of 512 bytes with its
# question and the network's repeats takes about 20 s; of a contact of 60 s the registration and
# the report take half. Cat1 at -115 dBm: tens of kbit/s, one contact of two minutes.
NBIOT = Bearer(goodput=25, contact_s=30, pause_s=900)
CAT1 = Bearer(goodput=4_000, contact_s=60, pause_s=900)

# Roles whose nodes live on a battery and a slow bearer; all others count as on the mains.
_NBIOT_ROLES = ("gas-meter", "drainage", "survey")
# A node reports by its plan while nothing hurries it: the default plans of hw/nodes, the slowest
# of each role, in s.
_REPORT_S = {
    "gas-meter": DAY_S, "drainage": 21_600, "lamppost": 3_600, "gateway": 3_600, "survey": DAY_S,
}  # fmt: skip
_SLOWEST_REPORT_S = DAY_S

MISSED_REPORTS = 3  # in a row, before a silent node is more than unlucky
TRIAL_S = 96 * 3_600  # after it a node goes back to the version before, whatever it did
ASSIGNED_S = 7 * DAY_S  # an assignment is good for so long
MARGIN_S = DAY_S


def bearer_of(role: str) -> Bearer:
    """What nodes of a role have at worst."""
    return NBIOT if role in _NBIOT_ROLES else CAT1


def transfer_s(size: int, bearer: Bearer) -> int:
    """How long a stream of `size` bytes takes at worst, contacts and pauses together."""
    contacts = -(-size // (bearer.goodput * bearer.contact_s))
    return contacts * (bearer.contact_s + bearer.pause_s)


def contact_s(role: str) -> int:
    """How long until a node has been in contact for sure, unless something is wrong with it."""
    return MISSED_REPORTS * _REPORT_S.get(role, _SLOWEST_REPORT_S)


def absolute_s(size: int, role: str) -> int:
    """From the offer to the end: the node comes, fetches, tries, and tells. What is fetched for
    longer than an assignment lasts is not installed any more.
    """
    fetching = min(ASSIGNED_S, 2 * transfer_s(size, bearer_of(role)))
    return contact_s(role) + fetching + TRIAL_S + contact_s(role) + MARGIN_S


def step_s(size: int, role: str) -> int:
    """From one sign of progress to the next. A node tells in each contact how far it is, so that
    the longest step is the trial; a large image costs the verifier and the flash time besides.
    """
    installing = size // 100  # 100 bytes/s: an estimate, worst of deflate, flash and a low battery
    return max(contact_s(role), TRIAL_S) + installing + MARGIN_S
