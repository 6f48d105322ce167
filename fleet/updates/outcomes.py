"""What a node's words about an update mean for its state: pure functions."""

from typing import NamedTuple

from fleet import schema
from fleet.rollouts import states
from fleet.wire import command, release


class End(NamedTuple):
    """A final state, and why: the key of a text, `update.<key>`."""

    state: str
    reason: str


# Never tried again: the node said that this release is not for it, or cannot be believed.
_REJECTED = {
    release.BAD_SIGNATURE: "bad-signature", release.OLDER: "older", release.JUMP: "jump",
    release.WRONG_ROLE: "wrong-role", release.WRONG_BOARD: "wrong-board",
    release.WRONG_ABI: "wrong-abi", release.WRONG_RUNTIME: "wrong-runtime",
    release.MALFORMED: "malformed",
}  # fmt: skip
# May go well the next time.
_FAILED = {
    release.WITHDRAWN: "withdrawn", release.BAD_DIGEST: "bad-digest", release.STALE: "stale",
    release.BASE_DIFFERS: "base-differs", release.NO_SPACE: "no-space",
    release.BAD_DELTA: "bad-delta", release.MODEM_FAILED: "modem-failed",
    release.MISSING: "missing",  # what it needs may be installed by then
    command.EXPIRED: "stale", command.NO_CLOCK: "no-clock", command.UNPOWERED: "unpowered",
}  # fmt: skip
_BACK = {
    release.CRASHED: "crashed", release.NOT_IMPORTED: "not-imported",
    release.NOT_CONFIRMED: "not-confirmed", release.SLEPT: "slept",
    release.BOOTLOADER: "bootloader", release.SELFTEST: "selftest",
}  # fmt: skip
# Of a key of a configuration pack, whose CRC-32 is the detail.
_OF_KEYS = (
    schema.UNKNOWN, schema.TYPE, schema.BELOW, schema.ABOVE, schema.INVALID, schema.MISSING,
    schema.BOARDS,
)  # fmt: skip
_STAGES = {
    release.ACCEPTED: states.ACCEPTED, release.DOWNLOADING: states.DOWNLOADING,
    release.DOWNLOADED: states.DOWNLOADED, release.VERIFIED: states.VERIFIED,
    release.INSTALLING: states.INSTALLING, release.CONFIRMING: states.CONFIRMING,
}  # fmt: skip
# Where a delta is at fault, and the whole image is not.
OF_DELTA = (release.BASE_DIFFERS, release.BAD_DELTA)


def state_of(stage: int) -> str | None:
    """The state that a stage of a node's status is; None for IDLE and for what is unknown."""
    return _STAGES.get(stage)


def end_of(result: int, detail: int) -> End | None:
    """What a result of a node's makes of its update; None for FORGED, which ends nothing."""
    if result == command.FORGED:
        return None
    if result == command.DONE:
        return End(states.SUCCEEDED, "")
    if result == release.ALREADY:
        return End(states.ALREADY_INSTALLED, "")
    if result == release.ROLLED_BACK:
        return End(states.ROLLED_BACK, _BACK.get(detail, "rolled-back"))
    if result == command.REVERTED:  # of a configuration pack; the application is what it was
        return End(states.ROLLED_BACK, "config-reverted")
    if result in _OF_KEYS:
        return End(states.REJECTED, "bad-configuration")
    if result in _REJECTED:
        return End(states.REJECTED, _REJECTED[result])
    return End(states.FAILED, _FAILED.get(result, "failed"))
