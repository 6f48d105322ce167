"""The HTTP API: health, metrics and read routes, described by OpenAPI at /docs."""
