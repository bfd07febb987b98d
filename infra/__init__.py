"""The infrastructure: the engines, their configuration, their provisioning, and the two kinds of stack."""
