"""Tables of the registry. Times are integer microseconds UTC."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Area(Base):
    """An administrative area: city 4401, district 440106, street 440106001."""

    __tablename__ = "areas"

    code: Mapped[str] = mapped_column(String(12), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))


class Site(Base):
    """A place in an area."""

    __tablename__ = "sites"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    area_code: Mapped[str] = mapped_column(ForeignKey("areas.code"), index=True)
    name: Mapped[str] = mapped_column(String(100))


class Asset(Base):
    """What is measured or controlled: a metering point, a manhole, a lamppost.

    Its position is WGS-84 in 1e-7 degrees (1.1 cm); a photo is a path and the file's SHA-256.
    """

    __tablename__ = "assets"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    site_id: Mapped[int] = mapped_column(ForeignKey("sites.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(100), index=True)
    latitude_e7: Mapped[int | None] = mapped_column(Integer)
    longitude_e7: Mapped[int | None] = mapped_column(Integer)
    photo: Mapped[str | None] = mapped_column(String(500))
    photo_sha256: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(200))


class Terminal(Base):
    """What communicates. `status` is the newest report's, as JSON; both empty before the first.

    `imei` and `iccid` are its modem's and its SIM's, as far as known.
    """

    __tablename__ = "terminals"

    id: Mapped[str] = mapped_column(String(10), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    role: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(12))
    area_code: Mapped[str] = mapped_column(ForeignKey("areas.code"), index=True)
    added_us: Mapped[int] = mapped_column(BigInteger)
    last_report_us: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str | None] = mapped_column(Text)
    imei: Mapped[str | None] = mapped_column(String(15), unique=True)
    iccid: Mapped[str | None] = mapped_column(String(20), unique=True)
    labelled_us: Mapped[int | None] = mapped_column(BigInteger)  # when a label was last printed
    board: Mapped[str | None] = mapped_column(String(32))  # of hw/boards, where it is known


# What is done to an area's terminals, some at a time, goes along this.
Index("ix_terminals_area_id", Terminal.area_code, Terminal.id)
# Who joined since then: asked by rollouts that take late joiners.
Index("ix_terminals_added", Terminal.added_us)


class TerminalTag(Base):
    """A word that people gave to a terminal, to choose it by."""

    __tablename__ = "terminal_tags"

    tag: Mapped[str] = mapped_column(String(40), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), primary_key=True, index=True)


class Installation(Base):
    """A terminal serves an asset from `from_us` to `to_us` (None: still)."""

    __tablename__ = "installations"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), index=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), index=True)
    from_us: Mapped[int] = mapped_column(BigInteger)
    to_us: Mapped[int | None] = mapped_column(BigInteger)
    # The terminal while this is its open installation, else NULL: a constraint, not a check.
    open_for: Mapped[str | None] = mapped_column(String(10), unique=True)
    register_offset: Mapped[int] = mapped_column(BigInteger, default=0)


class FieldAct(Base):
    """A technician's act that was taken in: once for ever, by its UUID and what it said."""

    __tablename__ = "field_acts"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))
    person: Mapped[str] = mapped_column(String(100))
    at_us: Mapped[int] = mapped_column(BigInteger)
    taken_us: Mapped[int] = mapped_column(BigInteger)
    said: Mapped[str] = mapped_column(Text)
