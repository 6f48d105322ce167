"""The modem's cellular half: link, air, network, power saving and SIM, tied together."""

import random
from collections.abc import Mapping
from itertools import cycle

from hil.virtual.modem.air import Air, AirHooks
from hil.virtual.modem.befall import actions
from hil.virtual.modem.bridge import Bridge, BridgeHooks, Connection
from hil.virtual.modem.cat1 import Cat1Link
from hil.virtual.modem.cells import around
from hil.virtual.modem.datagrams import Datagrams
from hil.virtual.modem.delays import Delay
from hil.virtual.modem.energy import Ledger, Power
from hil.virtual.modem.family import Family
from hil.virtual.modem.fota import SOCKET, Fota
from hil.virtual.modem.hosts import Hosts
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.modem.network import Network, NetworkHooks, Stat
from hil.virtual.modem.radio import Link, Signal, length_us
from hil.virtual.modem.saving import Saving, SavingHooks
from hil.virtual.modem.scenario import NBIOT, Scenario
from hil.virtual.modem.sim import Sim
from hil.virtual.modem.supply import Supply
from hil.virtual.modem.surroundings import Surroundings, cells_of
from hil.virtual.modem.timeline import Timeline
from hil.virtual.modem.wire import Wire
from hil.virtual.twin import UartPort

ATTACH_ROUNDS = 4  # attach, authentication, security mode, context: one message each way
UPDATE_ROUNDS = 1  # tracking area update and its accept


class Cellular:
    """The part of ModemTwin that deals with the network. `link` may be replaced at any time."""

    scenario: Scenario
    power: Power
    family: Family
    fota: Fota
    sim: Sim
    wire: Wire
    radio = True  # CFUN
    mute = False
    hung = False
    brown_outs = 0
    time_off_s = 0  # by how much what the network tells is wrong
    _port: UartPort
    _rng: random.Random
    _air_rng: random.Random
    _attach_delay_s: tuple[float, float]
    _resolve: Mapping[str, str]

    def _make_air(self, port: UartPort) -> None:
        scenario, rng, power = self.scenario, self._air_rng, self.power
        self.link: Link = scenario.link(power.technology)
        self.ledger = Ledger(power, port.now)
        supply = Supply(scenario.supply, power.volts, power.minimum_volts)
        self.air = Air(port, rng, self.ledger, supply, scenario.air, self._air_hooks())
        cells = around(rng, power.technology == NBIOT)
        self.network = Network(port, self._rng, self._attach_delay_s, cells, self._network_hooks())
        self.surroundings = Surroundings(
            scenario.cells, self.network.serving, self._camp_elsewhere
        )
        if self.surroundings.given:
            self._camp_elsewhere()
        self.network.refuse_first(scenario.refuse_first)
        if scenario.refuse is not None:
            self.network.refuse(scenario.refuse)
        self.saving = Saving(port, scenario.grants, self._saving_hooks())
        hosts = Hosts(self._resolve, scenario.sim.whitelist)
        hooks = self._bridge_hooks()
        self.bridge = Bridge(port, self.wire, self.air, hosts, hooks, scenario.nat)
        self.timeline = Timeline(port, scenario.events, actions(self))

    # -- what the engine and the family use -----------------------------------------------------

    @property
    def context_allowed(self) -> bool:
        """Whether the network gives a data connection: something is left in the plan."""
        return not self.sim.exhausted

    @property
    def connections(self) -> list[Connection]:
        """The newest TCP connections, oldest first, with their counters; closed ones too."""
        return [s for s in self.bridge.history if isinstance(s, Connection)]

    @property
    def datagrams(self) -> list[Datagrams]:
        """As `connections`, for UDP sockets."""
        return [s for s in self.bridge.history if isinstance(s, Datagrams)]

    @property
    def up_bytes(self) -> int:
        """Payload bytes of all sockets that the modem took from the host."""
        return self.bridge.up

    @property
    def down_bytes(self) -> int:
        """Payload bytes of all sockets that came from peers."""
        return self.bridge.down

    def now_s(self) -> int:
        """Seconds since 1970 UTC, as the network tells them."""
        return self._port.now() // 1_000_000 + self.time_off_s

    def signal(self) -> Signal | None:
        """What the modem measures; None where it camps on no cell."""
        return self.link.signal if self.network.cell is not None else None

    def set_radio(self, on: bool) -> None:
        """CFUN."""
        self.radio = on
        if on:
            self.network.start()
        else:
            was = self.network.registered
            self.silence()
            if was:
                self.family.on_registration()
        self.account()

    def silence(self) -> None:
        """The radio is off: sockets, connection and grants are gone."""
        self.network.stop()
        self.bridge.detach()
        self.air.reset()
        self.saving.forget()
        self.fota.lose()

    def deactivate(self) -> None:
        """The network takes the data connection away."""
        self.family.on_deactivated()
        self.bridge.cut()

    def brown_out(self) -> None:
        """The supply broke down under the module: it starts anew."""
        self.brown_outs += 1
        self.restart()

    def searching(self) -> bool:
        """Whether the receiver looks for a cell."""
        return self.network.stat is Stat.SEARCHING

    def resting(self) -> tuple[str, float]:
        """State and mA while asleep: Deep Sleep, or paging in between."""
        low, paging = self.power.ma["psm"], self.power.ma["light_sleep"]
        share = self.saving.paging_share()
        if self.saving.in_psm or not self.network.registered:
            return "psm", low
        if share is not None:
            return "edrx", low + (paging - low) * share
        return "light_sleep", paging

    def _camp_elsewhere(self) -> None:
        # What it may take has changed: another operator, other bands.
        found, nbiot = self.surroundings.best(), self.power.technology == NBIOT
        if found is None:
            self.network.camp(None, None)
        elif self.surroundings.given:
            loss_db = found.coupling_loss_db
            self.link = NbIotLink(loss_db) if nbiot else Cat1Link(loss_db)
            self.network.camp(cells_of(found, nbiot), found.refuse)
        else:
            self.network.camp(cycle((self.network.serving,)), self.scenario.refuse)

    def account(self) -> None:
        """ModemTwin's."""
        raise NotImplementedError

    def touch(self) -> None:
        """ModemTwin's."""
        raise NotImplementedError

    def restart(self) -> None:
        """ModemTwin's."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """ModemTwin's."""
        raise NotImplementedError

    def fall_asleep(self) -> None:
        """ModemTwin's."""
        raise NotImplementedError

    # -- between the parts ----------------------------------------------------------------------

    def _air_hooks(self) -> AirHooks:
        return AirHooks(
            cell=self._cell,
            bearer=lambda: self._cell() if self._carries() else None,
            reachable_us=lambda: self.saving.reachable_us(),  # noqa: PLW0108 - made later
            accessed=lambda: self.saving.leave(),  # noqa: PLW0108 - made later
            moved=self._connection_moved,
            spent=self._spent,
            brown_out=self.brown_out,
        )

    def _network_hooks(self) -> NetworkHooks:
        return NetworkHooks(
            allowed=lambda: self.sim.ready,
            attach=lambda: self.air.exchange(ATTACH_ROUNDS),
            attach_us=self._attach_us,
            refusal=lambda: self.sim.refusal(self.family.imei),
            accepted=lambda: self.saving.accept(),  # noqa: PLW0108 - made later
            changed=self._changed,
            moved=self._moved,
            at=lambda due_us, fn: Delay(self._port, due_us, fn),
        )

    def _saving_hooks(self) -> SavingHooks:
        return SavingHooks(
            registered=lambda: self.network.registered,
            idle_at_us=lambda: self.air.idle_at_us,
            update=lambda: self.air.exchange(UPDATE_ROUNDS),
            granted=lambda: None,
            psm=self._psm,
        )

    def _bridge_hooks(self) -> BridgeHooks:
        return BridgeHooks(
            allowed=lambda: self.context_allowed and self.network.registered,
            data=self._on_data,
            closed=self._on_closed,
            datagram=self.family.on_datagram,
            opened=lambda: self.timeline.trigger("open"),
            sent=lambda: self.timeline.trigger("send"),
        )

    def _on_data(self, number: int, data: bytes) -> None:
        if number == SOCKET:
            self.fota.on_data(data)
        else:
            self.family.on_data(number, data)

    def _on_closed(self, number: int) -> None:
        if number == SOCKET:
            self.fota.on_closed()
        else:
            self.family.on_closed(number)

    def _cell(self) -> Link | None:
        return self.link if self.network.covered and self.link.usable else None

    def _carries(self) -> bool:
        return self.network.registered and self.context_allowed

    def _attach_us(self) -> int:
        # A guess with a throw of its own, so that it changes nobody's luck.
        rng = random.Random(0)
        link = self.link
        return length_us(link.access(rng)) + length_us(link.signalling(ATTACH_ROUNDS, rng))

    def _changed(self) -> None:
        if not self.network.registered:
            self.saving.forget()
        self.family.on_registration()
        if self.network.stat in (Stat.IDLE, Stat.DENIED):
            self.bridge.cut()
            self.air.reset()
        self.account()
        self.touch()
        if self.network.registered:
            self.timeline.trigger("attach")

    def _connection_moved(self) -> None:
        self.saving.moved()
        self.family.on_connection()

    def _moved(self) -> None:
        self.air.exchange(UPDATE_ROUNDS)
        self.family.on_registration()

    def _psm(self, entered: bool) -> None:
        self.family.on_psm(entered)
        if not entered:
            self.bridge.nat.renew()
        elif self.family.may_sleep():
            self.fall_asleep()
        self.account()

    def _spent(self, octets: int) -> None:
        was = self.context_allowed
        self.sim.spend(octets)
        if was and not self.context_allowed:
            self.air.later(self._port.now(), self.deactivate)
