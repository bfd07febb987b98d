"""The operator's tools: what they read, they read without disturbing the running system."""
