"""Updates: what the fleet gave this node to install: fetched in blocks, verified, put in force.

A job (job.py) goes on a little in each contact: fetch.py asks for blocks while the door is open;
when it is shut, work.py verifies what came (manifest.py, pss.py), and has each component
(parts.py) built (image.py, delta.py) and put in force. Loaded only while there is a job.
"""


class Refused(Exception):
    """The job ends: `result` and `detail` of its item, wire/release.py."""

    def __init__(self, result: int, detail: int = 0) -> None:
        super().__init__("update: result %d, detail %d" % (result, detail))
        self.result = result
        self.detail = detail


class Later(Exception):
    """Not in this wake: there is no time left, or no clock; what was done is kept."""
