"""An asset's register comes into the ledger: it begins at what the terminal in place showed."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select

from fleet.migration import ledger
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.handover import NONE
from fleet.migration.ledger import FIRST, Key, Opening
from fleet.migration.reads import Want, fetch
from fleet.migration.scaling import (
    Meaning,
    check,
    check_raw,
    plain,
    register_of,
    scaled,
    step_of,
)
from fleet.registry.tables import Asset

_EVER = 1 << 62


class Adopted(NamedTuple):
    """A register that came in, and the index at which."""

    asset_id: int
    register: int
    terminal_id: str
    at_index: int


def registers_of(desk: Desk, asset_ids: Sequence[int]) -> dict[int, int]:
    """The billed register of each asset that has one."""
    rows = desk.session.execute(select(Asset.id, Asset.kind).where(Asset.id.in_(asset_ids)))
    found = {asset_id: register_of(kind) for asset_id, kind in rows}
    return {asset_id: register for asset_id, register in found.items() if register is not None}


def adopt(
    desk: Desk, terminals: Mapping[int, str], meanings: Mapping[int, Meaning],
    since_us: int = 0, index: Mapping[int, int] | None = None,
    dumb: Collection[str] = (),
) -> list[Adopted]:  # fmt: skip
    """Begin the ledger of assets (asset -> terminal), each at that terminal's first reading since
    then; those that are in it, or have no register, stay as they are.

    `meanings`: how a terminal's register is read, where it is not the quantity itself. `index`: at
    which the bill is, where that is not what the dial shows. LedgerError for a terminal that has
    told nothing yet; those of `dumb` are left out then.
    """
    registers = registers_of(desk, list(terminals))
    ledger.hold(desk.session, list(registers))
    known = ledger.standings(desk.session, list(registers))
    keys: list[Key] = [key for key in registers.items() if key not in known]
    wants = []
    for asset_id, register in keys:
        meaning = check(meanings.get(asset_id, plain(register)), register)
        wants.append(Want(asset_id, register, terminals[asset_id], meaning, since_us, desk.now_us))
    openings = []
    adopted = []
    for want, reads in zip(wants, fetch(desk.session, wants), strict=True):
        if not reads and want.terminal_id in dumb:
            continue
        if not reads:
            raise LedgerError(
                f"terminal {want.terminal_id} has told no reading of asset id:{want.asset_id} "
                "yet: nothing to begin with"
            )
        first = reads[0]
        raw = check_raw(first.raw, want.meaning)
        start = (index or {}).get(want.asset_id, scaled(raw, want.meaning, want.register))
        opening = Opening(want.terminal_id, FIRST, NONE, want.meaning, first.at_us, raw, start)
        evidence_id = desk.note(
            "segment", {"register": want.register, "number": 0,
                        **ledger.said(opening, first.at_us, start)},
            asset_id=want.asset_id,
        )  # fmt: skip
        key = (want.asset_id, want.register)
        openings.append((key, 0, opening, first.at_us, start, None, evidence_id))
        adopted.append(Adopted(*key, want.terminal_id, start))
    desk.store_evidence()
    ledger.open_next(desk, openings)
    return adopted


class Told(NamedTuple):
    """What a person tells of a change of how a terminal counts; None: as it was."""

    unit: str | None = None
    decimals: int | None = None
    modulus: int | None = None  # 0: it never begins anew
    clock_shift_s: int | None = None
    step: int | None = None


def read_now(desk: Desk, asset_id: int, register: int, told: Told) -> Meaning:
    """How the billed register is read after a change: what is not told stays as it was.
    LedgerError where it cannot: counts in another unit begin anew elsewhere.
    """
    found = ledger.standings(desk.session, [asset_id])
    before = ledger.meaning_of(ledger.need(found, (asset_id, register)).segment)
    given = {name: value for name, value in told._asdict().items() if value is not None}
    made = check(before._replace(**{**given, "modulus": None, "step": 1}), register)
    same = (made.unit, made.decimals) == (before.unit, before.decimals)
    if told.modulus is None and before.modulus is not None and not same:
        raise LedgerError(
            f"asset id:{asset_id} began anew at {before.modulus} counts of the unit before: "
            "--modulus N in the new one, or 0 for never"
        )
    modulus = before.modulus if told.modulus is None else told.modulus or None
    step = before.step
    if not same:  # the dial moves by as much as before
        step = max(1, step_of(before, register) // max(1, scaled(1, made, register)))
    return made._replace(modulus=modulus, step=told.step or step)


def changed(
    desk: Desk, asset_id: int, register: int, meaning: Meaning, kind: str, at_us: int,
    last_raw: int | None, first_raw: int,
) -> None:  # fmt: skip
    """The terminal in place counts otherwise from `at_us` on: in another unit (UNIT), by another
    clock or counter (CLOCK), or from another register (SET). `last_raw`: what it showed before;
    only of one that was SET nobody may know it (None): then what it reported last counts, and
    what flowed since is lost. `first_raw`: what it shows now.
    """
    from fleet.migration.handover import Typed, by_dials
    from fleet.migration.switching import switch

    if kind not in (ledger.UNIT, ledger.CLOCK, ledger.SET):
        raise LedgerError(f"no such change: {kind[:20]!r}: unit, clock or set")
    if last_raw is None and kind != ledger.SET:
        raise LedgerError(
            f"what did asset id:{asset_id} show before the change? --last N: else what flowed "
            "since its last report is lost"
        )
    ledger.hold(desk.session, [asset_id])
    found = ledger.standings(desk.session, [asset_id])
    standing = ledger.need(found, (asset_id, register))
    (reads,) = ledger.reads_since(desk.session, [standing], min(at_us, desk.now_us))
    made = by_dials(
        standing, reads, Typed(at_us, last_raw, first_raw), kind, _EVER,
        (standing.segment.terminal_id, check(meaning, register)),
    )  # fmt: skip
    switch(desk, [(standing, made, None)])
    desk.done([asset_id])
