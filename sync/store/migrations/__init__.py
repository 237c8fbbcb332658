"""The store's migrations, oldest first. Once released a migration is never edited: another follows it."""
