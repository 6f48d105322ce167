"""Which deltas there are, from one release's application to another's; in the caller's
transaction. Nothing here computes one: see workshop.py.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from fleet.releases import store
from fleet.releases.tables import FAILED, PREPARING, READY, REVOKED, Delta, Release

# A release gets deltas from so many before it, of the same role and board, newest first: what a
# district still runs. From any other base there is the full image.
BASES = 8


def ready(session: Session, base: bytes, sequence: int) -> bytes | None:
    """The proved delta that makes the release's application of the image whose digest, as the
    image says it, begins with `base`, 4 to 8 bytes; None: send it whole.
    """
    rest = 8 - len(base)
    if not 0 <= rest <= 4:
        raise ValueError(f"4 to 8 bytes of a digest, not {len(base)}")
    return session.scalar(
        select(Delta.patch)
        .where(
            Delta.sequence == sequence,
            Delta.base >= base + bytes(rest),
            Delta.base <= base + b"\xff" * rest,
            Delta.state == READY,
        )
        .limit(1)
    )


def want(session: Session, sequence: int, now_us: int) -> int:
    """Have the deltas to a release made, from those before it that nodes may run; how many are
    new. Once made they stay: a release and its bytes never change.
    """
    new = session.get(Release, sequence)
    if new is None or new.image is None or new.state == REVOKED:
        return 0
    bases = session.execute(
        select(Release.sequence, Release.image)
        .where(
            Release.sequence < sequence,
            Release.role == new.role,
            Release.board == new.board,
            Release.image.is_not(None),
            Release.promoted_us.is_not(None),
        )
        .order_by(Release.sequence.desc())
        .limit(BASES)
    ).all()
    held = set(session.scalars(select(Delta.base).where(Delta.sequence == sequence)))
    found = 0
    for base_sequence, base in bases:
        if base is not None and base not in held and base != new.image:
            held.add(base)
            found += 1
            session.add(
                Delta(
                    sequence=sequence, base=base, base_sequence=base_sequence, state=PREPARING,
                    patch=None, reason="", changed_us=now_us,
                )
            )  # fmt: skip
    return found


def want_behind(session: Session, sequence: int, now_us: int) -> None:
    """As `want` for a release that was just promoted, and for those above it that have to start
    from it as well.
    """
    base = session.get_one(Release, sequence)
    above = session.scalars(
        select(Release.sequence).where(
            Release.sequence >= sequence, Release.role == base.role, Release.board == base.board
        )
    )
    for each in above.all():
        want(session, each, now_us)


def awaited(session: Session, sequence: int, since_us: int) -> bool:
    """Whether deltas to a release are still being made that came to be wanted after `since_us`."""
    mine = (Delta.sequence == sequence, Delta.state == PREPARING, Delta.changed_us > since_us)
    return session.scalar(select(Delta.base).where(*mine).limit(1)) is not None


def counts(session: Session) -> dict[str, int]:
    """How many there are, by state."""
    found = dict.fromkeys((PREPARING, READY, FAILED), 0)
    rows = session.execute(select(Delta.state, func.count()).group_by(Delta.state))
    for state, count in rows:
        found[state] = count
    return found


def next_wanted(session: Session) -> Delta | None:
    """The delta to make next: of the newest release first. None: nothing is left to do."""
    return session.scalar(
        select(Delta)
        .join(Release, Release.sequence == Delta.sequence)
        .where(Delta.state == PREPARING, Release.state != REVOKED)
        .order_by(Delta.sequence.desc(), Delta.base_sequence.desc())
        .limit(1)
    )


def done(session: Session, sequence: int, base: bytes, patch: bytes, now_us: int) -> None:
    """The delta is there, and was proved."""
    found = session.get_one(Delta, (sequence, base))
    found.state, found.patch, found.reason, found.changed_us = READY, patch, "", now_us


def failed(session: Session, sequence: int, base: bytes, reason: str, now_us: int) -> None:
    """It cannot be made, or proved: nodes with that base get the full image."""
    found = session.get_one(Delta, (sequence, base))
    found.state, found.patch, found.reason, found.changed_us = FAILED, None, reason, now_us


def listed(session: Session, sequence: int | None = None) -> list[tuple[Delta, int]]:
    """Every delta, or those to one release, newest first, with the bytes of its patch."""
    query = select(Delta, func.coalesce(func.length(Delta.patch), 0)).options(defer(Delta.patch))
    if sequence is not None:
        query = query.where(Delta.sequence == sequence)
    rows = session.execute(query.order_by(Delta.sequence.desc(), Delta.base_sequence.desc()))
    return [(row[0], row[1]) for row in rows]


def again(session: Session, sequence: int, now_us: int) -> int:
    """Have those to a release made that failed, and those that came to be wanted since; how
    many. UnknownRelease.
    """
    store.release(session, sequence)
    count = want(session, sequence, now_us)
    for each in session.scalars(
        select(Delta).where(Delta.sequence == sequence, Delta.state == FAILED)
    ):
        each.state, each.reason, each.changed_us = PREPARING, "", now_us
        count += 1
    return count
