"""What lies in a board's flash, by the same code as `kapok flash` and `kapok provision`."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from fleet.errors import Refusal
from fleet.flashing import hardware, node_schema
from fleet.flashing.board_session import BoardSession
from fleet.flashing.esptool_run import Stop
from fleet.flashing.flash_board import Order as FlashOrder
from fleet.flashing.flash_board import Progress, Target
from fleet.flashing.flash_board import Result as Flashed
from fleet.flashing.flash_many import flash_many
from fleet.flashing.flash_order import prepare
from fleet.flashing.node_config import ConfigRefused
from fleet.flashing.ports import Port
from fleet.flashing.provision import NEW, NeedsPolicy
from fleet.flashing.provision import Order as ProvisionOrder
from fleet.flashing.provision_many import Result as Provisioned
from fleet.wire import cbor
from hil.errors import NodeFault
from hil.faults import RigFault
from hil.protocols import Attempts

BAUD = 921_600
NVS = "nvs"  # a partition
_READ = """
import esp32
kept = bytearray(1024)
print(bytes(kept[:esp32.NVS("kapok").get_blob("cfg", kept)]).hex())
"""
# With it goes what the node made of the one before: checked, on trial, and events by its limits.
_WRITE = """
import esp32
nvs = esp32.NVS("kapok")
nvs.set_blob("cfg", {raw!r})
for key in ("cfgx", "cfgt", "cfgp", "evt", "vlv"):
    try:
        nvs.erase_key(key)
    except OSError:
        pass
nvs.commit()
"""


@target_factory.reg_driver
@attr.s(eq=False)
class BoardFlashDriver(Driver, Attempts):
    """esptool as a process of its own for each step; what it cannot do is a fault of the rig."""

    bindings = {  # noqa: RUF012  labgrid's way
        "line": "BoardLine", "console": "NodeConsole", "prompt": "Prompt",
    }  # fmt: skip

    @Driver.check_active
    @step(args=["node_type", "bundle", "runtime"])
    def flash(
        self, node_type: str, bundle: Path | None = None, runtime: Path | None = None
    ) -> None:
        """As `kapok flash`: only what differs is written."""
        result = self.try_flash(node_type, bundle=bundle, runtime=runtime)
        if not result.ok:
            raise RigFault(result.error)

    @Driver.check_active
    @step(args=["node_type"])
    def try_flash(
        self,
        node_type: str,
        *,
        bundle: Path | None = None,
        runtime: Path | None = None,
        everything: bool = False,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Flashed:
        """As Attempts.try_flash."""
        port = self._port()
        board = hardware.load_board(hardware.load_node_type(node_type).board)
        target = Target(board.name, board.chip, board.flash_bytes, rows=tuple(board.table))
        with self.console.lent(), tempfile.TemporaryDirectory(prefix="kapok-flash-") as folder:
            order = FlashOrder(
                target,
                lambda: prepare(node_type, runtime, [port], bundle).make(None, Path(folder)),
                everything=everything, journal_folder=None, watch_s=0.0, baud=BAUD,
            )  # fmt: skip
            (result,) = flash_many(
                [port], order, stop=Stop(), on_progress=on_progress, on_result=lambda _: None
            )
        return result

    @Driver.check_active
    @step(args=["node_type"])
    def provision(self, node_type: str, url: str, token: str, config: Mapping[str, Any]) -> str:
        """As `kapok provision --again new`."""
        result = self.try_provision(node_type, url, token, config, policy=NEW)
        if result.done is None or not result.ok:
            raise RigFault(result.error)
        return str(result.done.node_id)

    @Driver.check_active
    @step(args=["node_type", "policy"])
    def try_provision(
        self, node_type: str, url: str, token: str, config: Mapping[str, Any], policy: str = ""
    ) -> Provisioned:
        """As Attempts.try_provision."""
        from fleet.enrol.client import EnrolClient
        from fleet.flashing.provision_many import Watch, provision_many

        def nobody(node_id: str) -> str:
            raise NeedsPolicy(f"{node_id} is registered, and nobody can be asked")

        kind = hardware.load_node_type(node_type)
        order = ProvisionOrder(kind, nobody, policy=policy, values=config)
        with self.console.lent():
            (result,) = provision_many(
                [self._port()], EnrolClient(url, token), order, watch=Watch(0.0, 0.0, BAUD),
                stop=Stop(), on_step=lambda *_: None, on_result=lambda _: None,
            )  # fmt: skip
        return result

    @Driver.check_active
    @step()
    def forget(self) -> None:
        """As a blank one."""
        self._session(
            lambda board: board.write_partition(NVS, b"\xff" * len(board.read_partition(NVS)))
        )

    @Driver.check_active
    @step()
    def configuration(self) -> dict[str, Any]:
        """By its prompt."""
        with self.prompt.visit() as node:
            said = node.execute(_READ).strip()
        try:
            found = cbor.decode(bytes.fromhex(said))
        except ValueError as e:
            raise NodeFault(
                f"{self.target.name}: its configuration is {said[:80]!r}: {e}"
            ) from None
        if not isinstance(found, dict):
            raise NodeFault(f"{self.target.name}: its configuration is no map")
        return {str(key): value for key, value in found.items()}

    @Driver.check_active
    @step(args=["values"])
    def configure(self, values: Mapping[str, Any]) -> None:
        """By its prompt: quicker than the whole partition; identity, journal and register stay."""
        if why := node_schema.fault(dict(values)):
            raise ConfigRefused(f"no node takes what the test wants: {why}")
        with self.prompt.visit() as node:
            node.execute(_WRITE.format(raw=cbor.encode(dict(values))))

    @Driver.check_active
    @step(args=["label"])
    def read(self, label: str) -> bytes:
        """A partition."""
        return self._session(lambda board: board.read_partition(label))  # type: ignore[no-any-return]

    @Driver.check_active
    @step(args=["label"])
    def write(self, label: str, data: bytes) -> None:
        """Write a partition from its start."""
        self._session(lambda board: board.write_partition(label, data))

    def _session(self, work: Any) -> Any:
        with self.console.lent():
            try:
                with BoardSession(self._port(), baud=BAUD) as board:
                    return work(board)
            except Refusal as e:
                raise RigFault(str(e)) from None

    def _port(self) -> Port:
        port: Port = self.line.port()
        return port
