"""Leaks of a store's data that make a model look better than it is."""
