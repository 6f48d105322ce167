"""The file of an export: made once, kept byte for byte, its digest signed in the evidence."""

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.migration import evidence
from fleet.migration.desk import Office
from fleet.migration.ledger_tables import BillLine, Evidence
from fleet.migration.states import Actor
from fleet.telemetry.metering import bill_file
from fleet.telemetry.metering.bill_tables import BillExport, BillExportPage, BillShare
from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.metering.shares import CORRECTION, USAGE
from fleet.telemetry.metering.tables import ESTIMATED

_PAGE_ROWS = 5000
_EVIDENCE = "export"


class _Made(NamedTuple):
    pages: list[bytes]
    rows: int
    estimated: int
    corrections: int
    digest: str


def seal(office: Office, export_id: int, person: str) -> BillExport:
    """Make the file of an export whose rows are complete; from then on nothing of it changes."""
    with office.database.read() as session:
        made = _make(session, export_id)
    with office.database.begin() as session:
        desk = office.desk(session, Actor.PERSON, person)
        export = session.get_one(BillExport, export_id)
        if export.digest is not None:
            return export
        if _count(session, export_id) != made.rows:
            raise MeteringError(f"export {export_id} got more rows meanwhile: close it again")
        for number, page in enumerate(made.pages):
            session.execute(
                insert(BillExportPage), [{"export_id": export_id, "number": number, "body": page}]
            )
        body = {
            "export": export_id, "scope": export.scope, "from_us": export.from_us,
            "to_us": export.to_us, "rows": made.rows, "digest": made.digest,
        }  # fmt: skip
        fact = desk.note(_EVIDENCE, body)
        desk.store_evidence()
        export.row_count, export.estimated = made.rows, made.estimated
        export.corrections, export.digest, export.evidence_id = made.corrections, made.digest, fact
        session.flush()
    return export


def pages(session: Session, export_id: int) -> Iterator[bytes]:
    """The file of an export, part by part, as it was made."""
    number = 0
    while True:
        body = session.scalar(
            select(BillExportPage.body).where(
                BillExportPage.export_id == export_id, BillExportPage.number == number
            )
        )
        if body is None:
            return
        yield zlib.decompress(body)
        number += 1


def write(session: Session, export_id: int, path: Path) -> BillExport:
    """Write an export's file, and `PATH.sha256` as sha256sum reads it; MeteringError where it is
    not what was signed.
    """
    export = find(session, export_id)
    wrong = _wrong(session, export)
    if wrong:
        raise MeteringError(wrong)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        for page in pages(session, export_id):
            file.write(page)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    path.with_name(path.name + ".sha256").write_text(f"{export.digest}  {path.name}\n")
    return export


def find(session: Session, export_id: int) -> BillExport:
    """A sealed export; MeteringError."""
    export = session.get(BillExport, export_id)
    if export is None:
        raise MeteringError(f"there is no export {export_id}: kapok metering export list")
    if export.digest is None:
        raise MeteringError(f"export {export_id} is not finished: kapok metering close")
    return export


def verify(database: Database, keys: Mapping[bytes, bytes]) -> tuple[int, str]:
    """How many exports were looked at; the first thing that is wrong with one, or empty. `keys`:
    moduli by key id that evidence may be signed by.
    """
    with database.read() as session:
        breach = evidence.verify(session, keys)
        if breach is not None:
            return 0, breach.line()
        exports = session.scalars(
            select(BillExport).where(BillExport.digest.is_not(None)).order_by(BillExport.id)
        ).all()
        for count, export in enumerate(exports):
            wrong = _wrong(session, export) or _unbalanced(session, export)
            if wrong:
                return count, wrong
        signed = session.scalar(
            select(func.count()).select_from(Evidence).where(Evidence.kind == _EVIDENCE)
        )
    if signed != len(exports):
        return len(exports), f"{signed} exports were signed, {len(exports)} are there"
    return len(exports), ""


def _make(session: Session, export_id: int) -> _Made:
    digest = hashlib.sha256()
    made, rows = [], 0
    whole = bill_file.lines(session, export_id)
    head = bill_file.HEAD
    while part := list(islice(whole, _PAGE_ROWS)):
        raw = (head + "".join(part)).encode()
        head = ""
        rows += len(part)
        digest.update(raw)
        made.append(zlib.compress(raw))
    if head:
        digest.update(head.encode())
        made.append(zlib.compress(head.encode()))
    estimated = _count(session, export_id, USAGE, ESTIMATED)
    return _Made(made, rows, estimated, _count(session, export_id, CORRECTION), digest.hexdigest())


def _count(session: Session, export_id: int, kind: str = "", quality: int | None = None) -> int:
    query = select(func.count()).select_from(BillShare).where(BillShare.export_id == export_id)
    if kind:
        query = query.where(BillShare.kind == kind)
    if quality is not None:
        query = query.where(BillShare.quality == quality)
    return session.scalar(query) or 0


def _wrong(session: Session, export: BillExport) -> str:
    digest = hashlib.sha256()
    try:
        for page in pages(session, export.id):
            digest.update(page)
    except zlib.error:
        return f"export {export.id} is damaged: restore the database"
    if digest.hexdigest() != export.digest:
        return f"export {export.id} is not what its digest says: it was changed"
    row = session.get(Evidence, export.evidence_id)
    said = {} if row is None or row.kind != _EVIDENCE else json.loads(row.body)
    if (said.get("export"), said.get("digest")) != (export.id, export.digest):
        return f"export {export.id} is not what was signed: it was changed"
    return ""


def _unbalanced(session: Session, export: BillExport) -> str:
    """The rows of an export add up to the bill lines in it."""
    used = session.scalar(select(func.sum(BillShare.used)).where(BillShare.export_id == export.id))
    billed = session.scalar(
        select(func.sum(BillLine.to_index - BillLine.from_index))
        .join(BillShare, BillShare.line_id == BillLine.id)
        .where(BillShare.export_id == export.id, BillShare.kind == USAGE)
    )
    if (used or 0) != (billed or 0):
        return f"export {export.id} says {used}, its bill lines {billed}"
    return ""
