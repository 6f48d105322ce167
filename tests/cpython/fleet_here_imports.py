"""What `kapok serve` imports, all before the first fork."""

import fleet.api
import fleet.app
import fleet.cli.serve
import fleet.coap
import fleet.enrol  # noqa: F401
