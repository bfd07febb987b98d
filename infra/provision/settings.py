"""Addresses and passwords of the engines, read once from the environment; both stacks use the same names."""

from pydantic import Field, SecretStr

from runtime.settings import Settings as EnvironmentSettings
from services.bridge.kafka_login import KafkaConfig, kafka_login

SERVICES = ("customer", "order")
"""The services with an outbox: each has a database, a replication role, a publication, a slot and a connector."""


class Settings(EnvironmentSettings):
    """One environment variable for each field, in capitals; no address and no password has a default."""

    postgres_url: SecretStr
    customer_database_url: SecretStr
    order_database_url: SecretStr
    customer_cdc_password: SecretStr
    order_cdc_password: SecretStr
    mongodb_admin_url: SecretStr
    mongodb_url: SecretStr
    kafka_bootstrap_servers: str
    kafka_username: str
    kafka_password: SecretStr
    connect_url: str
    connect_username: str
    connect_password: SecretStr
    nats_url: str
    nats_token: SecretStr
    keeper_interval_seconds: float = Field(default=10.0, gt=0)
    """How long the keeper waits after a round without errors."""

    def database_url(self, service: str) -> str:
        urls = {"customer": self.customer_database_url, "order": self.order_database_url}
        return urls[service].get_secret_value()

    def cdc_password(self, service: str) -> str:
        passwords = {"customer": self.customer_cdc_password, "order": self.order_cdc_password}
        return passwords[service].get_secret_value()

    def kafka_login(self) -> KafkaConfig:
        return kafka_login(self.kafka_bootstrap_servers, self.kafka_username, self.kafka_password.get_secret_value())
