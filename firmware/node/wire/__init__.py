"""What crosses the air: pure codecs, bytes in and bytes out.

The same files run on the node (MicroPython) and in the fleet (CPython, as `fleet.wire`).
"""
