"""Northbound: readings told to an authority's platform or a webhook, stored until it has them."""
