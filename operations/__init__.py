"""The operator's commands: ./saga."""
