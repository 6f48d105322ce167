"""Runs the framing over streams on the VM: `micropython at_lines_check.py FIRMWARE IN OUT`.

IN: JSON list of hex streams. OUT: for each, the items of the whole stream and whether every cut in
two and a byte-by-byte feed gave the same.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

from node.link import replies
from node.link.atlines import AtLines


def length(line):
    values = replies.fields(line)
    return replies.whole(values[2]) if len(values) == 3 else None


def items(chunks):
    out = []
    framing = AtLines(
        lambda line, payload: out.append([line, None if payload is None else payload.hex()]),
        lambda: out.append(">"),
    )
    framing.payload_rule('+QIURC: "recv",', length, 3)
    framing.payload_rule('+RAW: "recv",', length)
    framing.armed = True
    for chunk in chunks:
        framing.feed(chunk)
    return out


with open(sys.argv[2]) as source:
    streams = [bytes.fromhex(text) for text in json.load(source)]
results = []
for stream in streams:
    whole = items([stream])
    same = items([stream[i : i + 1] for i in range(len(stream))]) == whole
    for cut in range(len(stream)):
        same = same and items([stream[:cut], stream[cut:]]) == whole
    results.append([whole, same])
with open(sys.argv[3], "w") as target:
    json.dump(results, target)
