"""Plan a programme: each terminal's item by the rules. What is under way is left as it is."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration import choice
from fleet.migration.choice import Choice
from fleet.migration.errors import MigrationError
from fleet.migration.facts import Subject
from fleet.migration.inventory_tables import LegacyTerminal, TacModel
from fleet.migration.networks import Sunsets
from fleet.migration.rules import Rules
from fleet.migration.survey_tables import Coverage
from fleet.migration.tables import PLANNED, MigrationItem, MigrationProgramme
from fleet.registry.operations import now_us
from fleet.registry.tables import Asset, Installation, Site, Terminal

DAY_US = 86_400_000_000
CHUNK = 1000
OLD = ("2g", "3g", "")  # what a programme is for; a line that names no network is taken for one
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_TAC = 8


class Planned(NamedTuple):
    """What a plan came to: items made anew, of another bearer or path, only reworded, as before;
    let go since they are no part any more; and under way, which no plan touches.
    """

    added: int
    changed: int
    reworded: int
    same: int
    removed: int
    under_way: int


def make(session: Session, name: str, scope: str, rules: Rules) -> MigrationProgramme:
    """A programme, or the one of that name; MigrationError when it is of another area."""
    if not _NAME.fullmatch(name):
        raise MigrationError(f"programme {name[:40]!r}: 1 to 40 of a-z, 0-9 and -")
    found = session.scalar(select(MigrationProgramme).where(MigrationProgramme.name == name))
    if found is None:
        if not scope:
            raise MigrationError(f"programme {name} is new: --area CODE says where")
        if not re.fullmatch("[0-9]{2,12}", scope):
            raise MigrationError(f"area {scope[:24]!r}: a code of 2 to 12 digits, such as 4401")
        found = MigrationProgramme(
            name=name, scope=scope, rules=rules.text, settings="{}", made_us=now_us()
        )
        session.add(found)
        session.flush()
    elif scope and found.scope != scope:
        raise MigrationError(f"programme {name} is of area {found.scope}: name another programme")
    return found


def get(session: Session, name: str) -> MigrationProgramme:
    """A programme by its name; MigrationError."""
    found = session.scalar(select(MigrationProgramme).where(MigrationProgramme.name == name))
    if found is None:
        raise MigrationError(f"programme {name[:40]!r} is unknown: kapok migrate plan NAME --area")
    return found


def subjects(session: Session, scope: str, number: str = "") -> Iterator[Subject]:
    """All terminals of an area that a programme is for, by id; or the one of a number."""
    sunsets, after = Sunsets(session), ""
    query = (
        select(LegacyTerminal, Asset.id, Asset.kind, Site.id, Site.area_code, Terminal.imei)
        .join(Terminal, Terminal.id == LegacyTerminal.terminal_id)
        .join(Installation, Installation.open_for == Terminal.id)
        .join(Asset, Asset.id == Installation.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(within(Site.area_code, scope), LegacyTerminal.bearer.in_(OLD))
        .order_by(Terminal.id)
    )
    if number:
        query = query.where(LegacyTerminal.number == number)
    while rows := session.execute(query.where(Terminal.id > after).limit(CHUNK)).all():
        tacs = {row[5][:_TAC] for row in rows if row[5]}
        models = {
            one.tac: one for one in session.scalars(select(TacModel).where(TacModel.tac.in_(tacs)))
        }
        covered: dict[int, list[Coverage]] = {}
        for one in session.scalars(
            select(Coverage)
            .where(Coverage.site_id.in_({row[3] for row in rows}), Coverage.bearer == "nb")
            .order_by(Coverage.operator)
        ):
            covered.setdefault(one.site_id, []).append(one)
        for row, asset_id, kind, site_id, area, imei in rows:
            day = sunsets.day(row.operator, row.bearer or "2g", area)
            model = models.get(imei[:_TAC]) if imei else None
            yield Subject(
                row, asset_id, site_id, kind, area, model, tuple(covered.get(site_id, ())), day
            )
        after = rows[-1][0].terminal_id


def choices(session: Session, scope: str, rules: Rules, lang: str = "en") -> Iterator[
    tuple[Subject, Choice]
]:  # fmt: skip
    """What the rules say of each terminal of an area; nothing is kept."""
    today = now_us() // DAY_US
    for subject in subjects(session, scope):
        yield subject, choice.choose(subject, rules, today, lang)


def plan(session: Session, programme: MigrationProgramme, rules: Rules, lang: str) -> Planned:
    """Make or mend the programme's items. An item whose target or path changes loses its wave."""
    known = {
        item.old_terminal_id: item
        for item in session.scalars(
            select(MigrationItem).where(MigrationItem.programme_id == programme.id)
        )
    }
    now, seen = now_us(), set()
    added = changed = reworded = same = 0
    for subject, chosen in choices(session, programme.scope, rules, lang):
        terminal_id = subject.row.terminal_id
        seen.add(terminal_id)
        item = known.get(terminal_id)
        if item is None:
            added += 1
            session.add(
                MigrationItem(
                    programme_id=programme.id, asset_id=subject.asset_id,
                    old_terminal_id=terminal_id, bearer=chosen.bearer, because=chosen.because,
                    path=chosen.path, state=PLANNED, at_us=now,
                )
            )  # fmt: skip
        elif item.state != PLANNED:
            continue
        elif (item.bearer, item.path, item.asset_id) != (*chosen[:2], subject.asset_id):
            changed += 1
            item.bearer, item.path, item.because = chosen[:3]
            item.asset_id, item.wave, item.due_day, item.at_us = subject.asset_id, None, None, now
        elif item.because != chosen.because:
            reworded += 1
            item.because = chosen.because
        else:
            same += 1
    gone = [item.id for key, item in known.items() if key not in seen and item.state == PLANNED]
    for at in range(0, len(gone), CHUNK):
        part = gone[at : at + CHUNK]
        session.execute(delete(MigrationItem).where(MigrationItem.id.in_(part)))
    programme.rules, programme.planned_us = rules.text, now
    settings = {**json.loads(programme.settings), "lang": lang}
    programme.settings = json.dumps(settings)
    session.flush()
    moving = sum(item.state != PLANNED for item in known.values())
    return Planned(added, changed, reworded, same, len(gone), moving)
