"""What the registry knows already of some lines of an inventory, and what speaks against them."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fleet.migration.entries import Entry
from fleet.migration.inventory_tables import InventoryFault, LegacyTerminal, TacModel
from fleet.registry.tables import Area, Asset, Installation, Site, Terminal

TAC = 8  # digits of an IMEI that tell its type


class Known:
    """Read in a few statements for a chunk of lines; what they add is kept here, too.

    `legacy`: by number; `assets`: by name, more than one where a name is not unique; `at`:
    terminal -> asset that it serves now; `served`: asset -> terminals.
    """

    def __init__(self, session: Session, chunk: list[Entry]) -> None:
        taken = [entry for entry in chunk if entry.refused is None]
        numbers = [entry.number for entry in taken]
        names = {entry.asset for entry in taken}
        self.legacy = {
            row.number: row
            for row in session.scalars(
                select(LegacyTerminal).where(LegacyTerminal.number.in_(numbers))
            )
        }
        ids = [row.terminal_id for row in self.legacy.values()]
        imeis = [entry.imei for entry in taken if entry.imei]
        iccids = [entry.iccid for entry in taken if entry.iccid]
        rows = session.scalars(
            select(Terminal).where(
                or_(Terminal.id.in_(ids), Terminal.imei.in_(imeis), Terminal.iccid.in_(iccids))
            )
        )
        self.terminals = {row.id: row for row in rows}
        self._owners = {
            text: row.id
            for row in self.terminals.values()
            for text in (row.imei, row.iccid)
            if text
        }
        self.areas = set(session.scalars(select(Area.code)))
        self._places(session, names)
        self._installed(session, ids)
        self.faults: dict[str, set[str]] = {}
        for terminal_id, code in session.execute(
            select(InventoryFault.terminal_id, InventoryFault.code).where(
                InventoryFault.terminal_id.in_(ids)
            )
        ):
            self.faults.setdefault(terminal_id, set()).add(code)
        addresses = [entry.values["address"] for entry in taken if entry.values.get("address")]
        self._addresses: dict[tuple[str, str | None], str] = {
            (protocol, address): number
            for protocol, address, number in session.execute(
                select(
                    LegacyTerminal.protocol, LegacyTerminal.address, LegacyTerminal.number
                ).where(LegacyTerminal.address.in_(addresses))
            )
        }
        tacs = {entry.imei[:TAC] for entry in taken if entry.imei}
        self._tacs = {
            row.tac: row for row in session.scalars(select(TacModel).where(TacModel.tac.in_(tacs)))
        }

    def _places(self, session: Session, names: set[str]) -> None:
        self.assets: dict[str, list[Asset]] = {}
        self.areas_of: dict[int, str] = {}
        for asset, area in session.execute(
            select(Asset, Site.area_code)
            .join(Site, Site.id == Asset.site_id)
            .where(Asset.name.in_(names))
        ):
            self.assets.setdefault(asset.name, []).append(asset)
            self.areas_of[asset.id] = area

    def _installed(self, session: Session, ids: list[str]) -> None:
        assets = [asset.id for several in self.assets.values() for asset in several]
        self.at: dict[str, int] = {}
        self.served: dict[int, list[str]] = {}
        for terminal_id, asset_id in session.execute(
            select(Installation.terminal_id, Installation.asset_id).where(
                Installation.open_for.is_not(None),
                or_(Installation.terminal_id.in_(ids), Installation.asset_id.in_(assets)),
            )
        ):
            self.at[terminal_id] = asset_id
            self.served.setdefault(asset_id, []).append(terminal_id)

    def weigh(self, chunk: list[Entry]) -> None:
        """Refuse lines, or take out of them, what the registry holds otherwise."""
        for entry in chunk:
            if entry.refused is None:
                self._weigh_place(entry)
        taken = [entry for entry in chunk if entry.refused is None]
        for entry in taken:
            row = self.legacy.get(entry.number)
            if row is not None:  # what it does not claim any more is free
                terminal = self.terminals[row.terminal_id]
                for had, has in ((terminal.imei, entry.imei), (terminal.iccid, entry.iccid)):
                    if had and had != has:
                        self._owners.pop(had, None)
        for entry in taken:
            self._weigh_numbers(entry)
            self._weigh_tac(entry)
            if entry.values.get("sim_lock") == "bound":
                why = "the card is bound to this IMEI: have the operator unbind it before a visit"
                entry.faults.append(("sim-bound", why))

    def _weigh_place(self, entry: Entry) -> None:
        if entry.area not in self.areas and not entry.area_name:
            why = f"area {entry.area} is unknown: kapok area add {entry.area} NAME, or area_name"
            entry.refused = ("area", why)
            return
        row = self.legacy.get(entry.number)
        self._weigh_asset(entry, row.terminal_id if row is not None else None)

    def _weigh_numbers(self, entry: Entry) -> None:
        row = self.legacy.get(entry.number)
        mine = row.terminal_id if row is not None else None
        for name in ("imei", "iccid"):
            owner = self._owners.get(getattr(entry, name))
            if owner is not None and owner != mine:
                why = f"{name} {getattr(entry, name)} is in terminal {owner}"
                entry.faults.append((f"{name}-taken", f"{why}: correct one of the two"))
                setattr(entry, name, "")
        address = entry.values.get("address")
        key = (str(entry.values.get("protocol")), str(address))
        other = self._addresses.get(key) if address else None
        if other is not None and other != entry.number:
            entry.faults.append(("address-taken", f"address {address} is of terminal {other}"))
            entry.values["address"] = None

    def _weigh_asset(self, entry: Entry, mine: str | None) -> None:
        several = self.assets.get(entry.asset, [])
        if len(several) > 1:
            why = f"{len(several)} assets are called {entry.asset[:40]}: rename all but one"
            entry.refused = ("asset-ambiguous", why)
            return
        asset = several[0] if several else None
        name = entry.asset[:40]
        if mine is not None:
            here = self.at.get(mine)
            if here is None:
                entry.refused = ("replaced", f"terminal {entry.number} serves no asset any more")
            elif asset is None or asset.id != here:
                why = f"terminal {entry.number} serves the asset id:{here}, not {name}"
                entry.refused = ("elsewhere", why)
        if asset is None or entry.refused is not None:
            return
        if self.areas_of[asset.id] != entry.area:
            where = self.areas_of[asset.id]
            entry.refused = ("area", f"asset {name} is in area {where}, not {entry.area}")
        elif mine is None and self.served.get(asset.id):
            by = self.served[asset.id][0]
            entry.refused = ("asset-served", f"asset {name} is served by terminal {by}")

    def _weigh_tac(self, entry: Entry) -> None:
        model = self._tacs.get(entry.imei[:TAC])
        bearer = entry.values.get("bearer")
        if model is None or not bearer or bearer in model.bearers.split():
            return
        why = f"its IMEI is of a {model.model}, which has {model.bearers}: not {bearer}"
        entry.faults.append(("capability", why))
