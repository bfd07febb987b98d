"""Owns orders."""
