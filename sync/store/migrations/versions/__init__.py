"""One module a migration. Its number is the schema version it leads to."""
