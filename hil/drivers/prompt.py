"""A node's prompt, by mpremote's transport."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from fleet.flashing import repl
from fleet.flashing.errors import FlashError
from fleet.flashing.ports import Port
from fleet.flashing.repl import NodeRepl, ReplError
from hil.faults import RigFault
from hil.protocols import Prompt

_TELL = "import json\ndef tell(n, v):\n    print('kapok-' + n, json.dumps(v))\n"


@target_factory.reg_driver
@attr.s(eq=False)
class PromptDriver(Driver, Prompt):
    """Each call is a visit of its own, unless it is made inside `visit`."""

    bindings = {"line": "BoardLine", "console": "NodeConsole"}  # noqa: RUF012  labgrid's way

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._repl: NodeRepl | None = None

    @contextmanager
    def visit(self) -> Iterator[NodeRepl]:
        """The node stays at its prompt; it runs on when this ends."""
        if self._repl is not None:
            yield self._repl
            return
        with self._line() as port, repl.opened(port) as opened:
            self._repl = opened
            try:
                yield opened
            finally:
                self._repl = None

    @Driver.check_active
    @step(args=["expression"])
    def eval(self, expression: str) -> Any:
        """Its value, by way of JSON."""
        with self.visit() as node:
            return node.ask(f"{_TELL}tell('answer', {expression})\n")

    @Driver.check_active
    @step(args=["code"])
    def exec(self, code: str) -> str:
        """What the code prints."""
        with self.visit() as node:
            return node.execute(code)

    @Driver.check_active
    @step(args=["code"])
    def leave(self, code: str) -> None:
        """Run code that ends the node's run."""
        with self._line() as port:
            repl.leave(port, code)

    @Driver.check_active
    @step()
    def restart(self) -> None:
        """As Prompt."""
        with self._line() as port:
            repl.restart(port)

    @contextmanager
    def _line(self) -> Iterator[Port]:
        # One that sleeps hears nothing: without the reset its silence is waited for first.
        if self.line.asleep():
            self.line.reset()
        with self.console.lent():
            try:
                yield self.line.port()
            except ReplError:
                raise
            except FlashError as e:
                raise RigFault(f"{self.target.name}: {e}") from None
