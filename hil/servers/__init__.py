"""Endpoints of the rig's own, on this machine's loopback, that a node is pointed at: they do what
no fleet would. A node reaches them as it reaches the suite's fleet, through a modem twin.
"""
