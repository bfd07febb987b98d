"""Where the engines are, read once from the environment; the names are the same in both stacks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

SERVICES = ("customer", "order")
"""The services with an outbox: each has a database, a replication role, a publication, a slot and a connector."""


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable of that name in capitals; none has a default."""

    postgres_url: str
    customer_database_url: str
    order_database_url: str
    customer_cdc_password: str
    order_cdc_password: str
    mongodb_admin_url: str
    mongodb_url: str
    kafka_bootstrap_servers: str
    kafka_username: str
    kafka_password: str
    connect_url: str
    connect_username: str
    connect_password: str
    nats_url: str
    nats_token: str

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        missing = [field.name.upper() for field in fields(cls) if not environment.get(field.name.upper())]
        if missing:
            raise SystemExit(f"not set in the environment: {', '.join(missing)}")
        return cls(**{field.name: environment[field.name.upper()] for field in fields(cls)})

    def database_url(self, service: str) -> str:
        return {"customer": self.customer_database_url, "order": self.order_database_url}[service]

    def cdc_password(self, service: str) -> str:
        return {"customer": self.customer_cdc_password, "order": self.order_cdc_password}[service]
