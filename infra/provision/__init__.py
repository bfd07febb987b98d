"""Bring the engines into the state that the services expect, and keep them there.

Every function here compares what is with what is declared (infra/kafka/topics.json, infra/debezium/*.json, the roles
of postgres.py) and changes only what differs, so each may run at any time and any number of times. The local stack
calls them one by one while the engines come up; in containers, and later in both, the keeper runs them all again.
"""
