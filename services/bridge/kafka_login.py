"""How every client of Kafka connects and logs in."""

KafkaConfig = dict[str, str | int | float | bool]
"""The client library's settings."""


def kafka_login(bootstrap_servers: str, username: str, password: str) -> KafkaConfig:
    """Where Kafka is and who logs in (SASL PLAIN), in the client library's names."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": username,
        "sasl.password": password,
    }
