"""Updates: what the fleet gave this node to install: fetched in blocks, verified, put in force.

A job (job.py) goes on a little in each contact: fetching.py asks for blocks while the door is
open; when it is shut, work.py verifies what came (manifest.py, pss.py), and has each component
(parts.py) built (image.py, delta.py) and put in force. Loaded only while there is a job.
"""
