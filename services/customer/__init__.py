"""Owns customers and the credit reserved for their orders."""
