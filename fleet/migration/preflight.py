"""What must be so before anybody drives out: checks by path, and from planned to ready."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import select

from fleet.migration import dials, moves, paths, served, states
from fleet.migration.adopting import adopt
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.scaling import Meaning
from fleet.migration.swap_tables import PreflightCheck, WorkOrder

SIM_UNBOUND: Final = "sim-unbound"  # from the old IMEI, or the operator stops it in another modem
WHITELIST: Final = "whitelist"  # of a directed SIM: it reaches the fleet
FIRMWARE: Final = "firmware"  # of the new terminal, or of its module
SPARE: Final = "spare"  # what is put in is on the shelf
KEYS: Final = "keys"  # the new terminal is provisioned
CHECKS: Final = (SIM_UNBOUND, WHITELIST, FIRMWARE, SPARE, KEYS)

# Path (rules.toml) -> what it needs; what is not here needs nothing.
_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "configuration": (WHITELIST,),
    "esim-profile": (SIM_UNBOUND, WHITELIST),
    "sim-swap": (SIM_UNBOUND, WHITELIST, SPARE),
    "module-swap": (SIM_UNBOUND, FIRMWARE, SPARE),
    "replacement": (WHITELIST, FIRMWARE, SPARE, KEYS),
    "gateway-bridge": (WHITELIST, SPARE, KEYS),
}


class Standing(NamedTuple):
    """How a pre-flight is: what it needs, and what of that is missing or did not pass; of a
    terminal that stays behind its master station that it does: it is never ready.
    """

    item_id: int
    needs: tuple[str, ...]
    missing: tuple[str, ...]


def needs(path: str) -> tuple[str, ...]:
    """The checks of a path."""
    return _NEEDS.get(path, ())


def note(desk: Desk, item_ids: Sequence[int], name: str, said: str, *, passed: bool) -> list[int]:
    """Somebody has looked; the newest word counts. The items."""
    if name not in CHECKS:
        raise LedgerError(f"no such check: {name[:20]!r}; one of {', '.join(CHECKS)}")
    items = moves.find(desk, item_ids)
    for item in items:
        row = desk.session.get(PreflightCheck, (item.id, name))
        if row is None:
            row = PreflightCheck(item_id=item.id, name=name)
            desk.session.add(row)
        row.passed, row.said = passed, said[:100]
        row.person, row.at_us = desk.person, desk.now_us
        desk.note("preflight", {"check": name, "passed": passed, "said": said[:100]},
                  item_id=item.id, asset_id=item.asset_id)  # fmt: skip
    desk.done([item.asset_id for item in items])
    return [item.id for item in items]


def standing(desk: Desk, item_ids: Sequence[int]) -> dict[int, Standing]:
    """Of each item."""
    items = moves.find(desk, item_ids)
    passed = {
        (row.item_id, row.name)
        for row in desk.session.scalars(
            select(PreflightCheck).where(
                PreflightCheck.item_id.in_(item_ids), PreflightCheck.passed.is_(True)
            )
        )
    }
    found = {}
    for item in items:
        wanted = needs(item.path)
        missing = tuple(name for name in wanted if (item.id, name) not in passed)
        if item.path == paths.STAYS:
            missing = (paths.STAYS,)
        found[item.id] = Standing(item.id, wanted, missing)
    return found


def make_ready(
    desk: Desk, item_ids: Sequence[int], meanings: Mapping[int, Meaning] | None = None
) -> list[int]:
    """Items whose checks passed become ready: their assets come into the ledger, with the meters
    behind their terminals, and a work order is made. Those that lack something wait. `meanings`:
    by asset, as of `adopt`, before what the inventory tells of its dial.
    """
    lacking = standing(desk, item_ids)
    wanted = (states.PLANNED, states.ROLLED_BACK)
    items = [
        item
        for item in moves.find(desk, item_ids)
        if item.state in wanted and not lacking[item.id].missing
    ]
    for item in items:
        moves.check(desk, item, states.READY)
    keys = served.keys(desk.session, items)
    terminals = {key: item.old_terminal_id for item in items for key in keys[item.id]}
    known = dials.of_inventory(desk.session, terminals)
    by_asset = {asset_id: terminal_id for (asset_id, _), terminal_id in terminals.items()}
    # What goes without a successor may never have told a reading: then it has no bill to keep.
    ends = {item.old_terminal_id for item in items if item.path == paths.RETIRE}
    adopt(desk, by_asset, {**known, **(meanings or {})}, dumb=ends)
    moves.move(desk, items, states.READY, {})
    for item in items:
        desk.session.add(
            WorkOrder(
                item_id=item.id, kind="install", state="open", made_us=desk.now_us, person="",
                photo="", photo_sha256="", note="",
            )
        )  # fmt: skip
    desk.done(sorted({item.asset_id for item in items} | set(by_asset)))
    return [item.id for item in items]
