"""The registry: areas, sites, assets, terminals, and which terminal serves which asset."""
