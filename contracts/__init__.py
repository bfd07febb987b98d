"""The wire contract: a JSON Schema and a golden example of each event, and the types that events are built from."""
