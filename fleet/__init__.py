"""The Kapok fleet manager: identities, readings, alarms, updates, migration of terminals."""
