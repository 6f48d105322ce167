"""Tables of desired configuration and of groups. Times are us UTC, values JSON."""

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Group(Base):
    """Some nodes under a name. Of two groups that want a key, the higher rank wins."""

    __tablename__ = "node_groups"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    rank: Mapped[int] = mapped_column(Integer)


class GroupMember(Base):
    """A node in a group."""

    __tablename__ = "group_members"

    group_name: Mapped[str] = mapped_column(ForeignKey("node_groups.name"), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), primary_key=True, index=True)


class Layer(Base):
    """What is wanted of an area, a group or a node: of all roles, or of one.

    The row stays when its values are gone: a version is never given twice.
    """

    __tablename__ = "desired_layers"

    kind: Mapped[str] = mapped_column(String(5), primary_key=True)  # area, group, node
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    role: Mapped[str] = mapped_column(String(16), primary_key=True)  # "": every role
    content: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)


class LayerChange(Base):
    """Who changed a layer to which version, and how: the patch."""

    __tablename__ = "desired_changes"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(5))
    name: Mapped[str] = mapped_column(String(40))
    role: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(Integer)
    patch: Mapped[str] = mapped_column(Text)
    person: Mapped[str] = mapped_column(String(64))
    changed_us: Mapped[int] = mapped_column(BigInteger)


Index("ix_desired_changes_layer", LayerChange.kind, LayerChange.name, LayerChange.role)


class Work(Base):
    """The nodes of a target behind `after` have yet to be brought in line: in order of node id, of
    an area in order of its areas first.
    """

    __tablename__ = "desired_work"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(5))
    name: Mapped[str] = mapped_column(String(40))
    role: Mapped[str] = mapped_column(String(16))
    after: Mapped[str] = mapped_column(String(10))
    after_area: Mapped[str] = mapped_column(String(12))


class DesiredNode(Base):
    """What a node was last told by the layers: `sent`, key to value, None for one withdrawn.

    `area`: where it was then. `waiting`: numbers of its patches that may not be handed over yet.
    `drifting`: what it reports is not what is wanted, or not yet.
    """

    __tablename__ = "desired_nodes"

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    area: Mapped[str] = mapped_column(String(12))
    role: Mapped[str] = mapped_column(String(16))
    sent: Mapped[str] = mapped_column(Text)
    waiting: Mapped[str] = mapped_column(Text)
    drifting: Mapped[bool] = mapped_column(Boolean)


Index(
    "ix_desired_nodes_drifting",
    DesiredNode.node_id,
    sqlite_where=DesiredNode.drifting,
    postgresql_where=DesiredNode.drifting,
)
