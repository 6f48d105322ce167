"""Many boards provisioned at once, each in a thread; a bad one stops no other."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from fleet.errors import Refusal
from fleet.flashing import first_boot
from fleet.flashing.board_session import BAUD, BoardSession
from fleet.flashing.errors import FlashError, Interrupted
from fleet.flashing.esptool_run import Stop
from fleet.flashing.flash_many import MOST, ended_by_signals
from fleet.flashing.ports import Port
from fleet.flashing.provision import Done, Fleet, Order, provision_board
from fleet.flashing.provision_offline import provision_offline
from fleet.flashing.vouchers import VoucherFile

Source = Fleet | VoucherFile  # where identities come from: a fleet, or a laptop's vouchers
FAILED, INTERRUPTED = "failed", "interrupted"
POLL_S = 2.0  # between two questions whether a node has reported


class Result(NamedTuple):
    """How one board ended; `done` None: it did not. `reported`: the fleet had its report."""

    port: str
    done: Done | None
    seconds: float
    selftest: dict[str, Any] | None = None
    reported: bool = False
    error: str = ""
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether the board is as ordered."""
        return self.done is not None and not self.error

    @property
    def state(self) -> str:
        """One word for a table."""
        if self.error:
            return INTERRUPTED if self.interrupted else FAILED
        return self.done.result if self.done is not None else FAILED


class Watch(NamedTuple):
    """What is waited for behind the confirmation, in seconds; 0: it is not."""

    boot_s: float = first_boot.PATIENCE
    report_s: float = 0.0
    baud: int = BAUD


def _work(
    port: Port, fleet: Source, order: Order, watch: Watch, stop: Stop, say: Callable[[str], None]
) -> Result:
    began = time.monotonic()
    done: Done | None = None
    selftest: dict[str, Any] | None = None
    reported = False
    error, interrupted = "", False
    try:
        with BoardSession(port, baud=watch.baud, stop=stop) as session:
            if isinstance(fleet, VoucherFile):
                done = provision_offline(port.name, session, fleet, order, say)
            else:
                done = provision_board(port.name, session, fleet, order, say)
            if watch.boot_s:
                say("first boot")
                selftest = _first_boot(session, order, watch.boot_s, stop)
        if watch.report_s and not isinstance(fleet, VoucherFile):
            say("wait for its report")
            _wait_report(port, fleet, order, done, watch.report_s, stop)
            reported = True
    except Interrupted as e:
        error, interrupted = str(e), True
    except (Refusal, ValueError) as e:
        error = str(e) if str(e).startswith(port.name) else f"{port.name}: {e}"
    except OSError as e:  # of a disk that is full, of a port that went away
        where = f"{e.filename}: " if e.filename else ""
        error = f"{port.name}: {where}{e.strerror or e}"
    return Result(
        port.name, done, time.monotonic() - began, selftest, reported, error, interrupted
    )


def _first_boot(
    session: BoardSession, order: Order, patience: float, stop: Stop
) -> dict[str, Any]:
    with session.console() as console:
        session.reset(console)
        boot = first_boot.watch(
            session.port.name, console, patience=patience, stop=lambda: stop.wanted
        )
    if boot.selftest.get("provisioned") is not True:
        raise FlashError(
            f"{session.port.name}: provisioned, but its self-test says that it is not: run again"
        )
    if wrong := foreign(boot.selftest, order):
        raise FlashError(f"{session.port.name}: {wrong}")
    return boot.selftest


def foreign(selftest: Mapping[str, Any], order: Order) -> str:
    """Why the image that a board runs is not for the node type as which it was provisioned; ""
    where it is.
    """
    kind, told = order.node_type, selftest.get("release")
    if not isinstance(told, list) or len(told) != 3:
        return ""  # an image of all roles
    for has, wants in ((told[1], kind.role), (told[2], kind.board)):
        if has not in ("", wants):
            again = f"kapok flash --node {kind.name}, and it works as it is provisioned"
            return f"its image is for {str(has)[:32]}, not {wants}: {again}"
    return ""


def _wait_report(
    port: Port, fleet: Fleet, order: Order, done: Done, patience: float, stop: Stop
) -> None:
    end = time.monotonic() + patience
    kind = order.node_type.name
    while time.monotonic() < end and not stop.wanted:
        seen = fleet.look(done.node_id, kind, {})
        if (seen["last_report_us"] or 0) > done.at_us:
            return
        time.sleep(POLL_S)
    raise FlashError(
        f"{port.name}: node {done.node_id} is provisioned, but it did not report in"
        f" {patience:.0f} s: kapok diag says why"
    )


def provision_many(
    ports: list[Port],
    fleet: Source,
    order: Order,
    *,
    watch: Watch,
    stop: Stop,
    on_step: Callable[[str, str], None],
    on_result: Callable[[Result], None],
) -> list[Result]:
    """Provision every port; the results in the order of the ports.

    The callbacks are called one at a time, from the boards' threads: `on_step(port, step)`.
    Ctrl-C and SIGTERM end every board at once: the same command goes on later.
    """
    lock = threading.Lock()

    def one(port: Port) -> Result:
        def say(step: str) -> None:
            if stop.wanted:
                raise Interrupted(f"{port.name}: interrupted before: {step}")
            with lock:
                on_step(port.name, step)

        try:
            result = _work(port, fleet, order, watch, stop, say)
        except Exception as e:  # a fault of ours must not take the other boards along
            # Its text may hold what it worked on, and that may be a key.
            result = Result(port.name, None, 0.0, error=f"{port.name}: internal error: {type(e)}")
        with lock:
            on_result(result)
        return result

    workers = min(len(ports), MOST)
    with ended_by_signals(stop), ThreadPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(one, ports))
