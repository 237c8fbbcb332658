"""Statements of usage on their way to a store over a network: kept on disk until the store has them."""
