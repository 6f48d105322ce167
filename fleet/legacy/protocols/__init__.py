"""Codecs of five protocols of legacy terminals, and of the DTU boxes that carry three of them.

Pure: bytes in, bytes out, bounded. Each module has the names of `catalogue.Codec`.
"""
