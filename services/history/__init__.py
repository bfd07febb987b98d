"""Owns the view of customers with their orders (CQRS)."""
