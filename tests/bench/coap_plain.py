"""What the CoAP benchmark is compared to: aiocoap as it comes, an empty 2.04 to each request.

No OSCORE, no database, no limits: `python -m tests.bench.coap_plain` prints its port.
"""

import asyncio

import aiocoap
from aiocoap import resource


class Empty(resource.Resource):  # type: ignore[misc]
    """The root: POST is answered by 2.04."""

    async def render_post(self, _request: aiocoap.Message) -> aiocoap.Message:
        """Nothing is done with it."""
        return aiocoap.Message(code=aiocoap.CHANGED)


async def main() -> None:
    """Serve until killed."""
    site = resource.Site()
    site.add_resource([], Empty())
    context = await aiocoap.Context.create_server_context(
        site, bind=("127.0.0.1", 0), transports=["udp6"]
    )
    (interface,) = context.request_interfaces
    print(interface.token_interface.message_interface._local_port(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
