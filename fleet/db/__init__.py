"""The database: engine, declarative base and migrations."""
