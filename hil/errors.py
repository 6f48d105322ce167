"""What is a fault of the node, as the parts of the rig find it: never tried again."""


class NodeFault(AssertionError):
    """The node did not do what the strategy waits for; the text has what it said instead."""
