"""Brings the engines into the state that the services need, and keeps them there.

Each `reconcile` function compares an engine with what is declared (infra/kafka/topics.json,
infra/debezium/outbox.json, the roles of postgres.py, the users of mongo.py) and changes only what differs. It may run
at any time and any number of times. The native stack calls these functions while the engines start. The keeper calls
them again and again in both stacks.
"""
