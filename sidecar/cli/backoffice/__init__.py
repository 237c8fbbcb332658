"""Commands that change or show the central store, one module a noun."""
