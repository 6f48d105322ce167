"""What went wrong on the rig, and so says nothing about the node under test."""

from fleet.errors import Refusal


class RigFault(Refusal, RuntimeError):
    """A part of the rig failed: a port vanished, the bench's process died, esptool cannot sync,
    the fleet did not start. The text is one line: which part, of which place, what to look at.

    Drivers raise it; a test that meets it is run once more and reported as retried. What the node
    does wrong is never this, or it would be tried until it passes.
    """
