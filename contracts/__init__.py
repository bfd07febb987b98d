"""The wire language: JSON Schemas, golden examples, and the types that every message is made of."""
