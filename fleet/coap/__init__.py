"""CoAP with OSCORE for battery nodes: one datagram up, one down, nothing between them."""
