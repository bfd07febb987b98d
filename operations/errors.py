"""Why a command cannot be carried out. The command line prints the text of each; no traceback is shown.

CannotDo                  the request cannot be met
├── UnknownOrder          no part of the system has heard of the order
├── UnknownDeadLetters    no dead letters have these sequences
└── CannotRebuild         the view cannot be rebuilt now
OUTAGES                   an engine does not answer; `outage` names it
"""

from collections.abc import Collection

import asyncpg
from confluent_kafka import KafkaException
from nats.errors import (
    ConnectionClosedError,
    NoRespondersError,
    NoServersError,
    StaleConnectionError,
    TimeoutError,  # noqa: A004 - NATS's own
)
from nats.js.errors import NoStreamResponseError, NotFoundError, ServiceUnavailableError

from services.bridge.kafka import TopicsChanged
from services.history.views import TRANSIENT_ERRORS as MONGODB_ERRORS
from storage.postgres import TRANSIENT_ERRORS as POSTGRESQL_ERRORS

NATS_ERRORS: tuple[type[Exception], ...] = (
    NoServersError,
    TimeoutError,
    NoRespondersError,
    ConnectionClosedError,
    StaleConnectionError,
    ServiceUnavailableError,
    NoStreamResponseError,
    NotFoundError,  # the stream was deleted while the command ran
)

ENGINES: tuple[tuple[str, tuple[type[Exception], ...]], ...] = (
    ("Kafka", (KafkaException, TopicsChanged)),
    ("MongoDB", MONGODB_ERRORS),
    ("NATS", NATS_ERRORS),
    # Last: these include OSError, and errors of the other clients may be OSErrors too.
    (
        "PostgreSQL",
        (*POSTGRESQL_ERRORS, asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError),
    ),
)
"""By engine, the errors of its client that only mean that the engine is away, starting or not set up yet."""

OUTAGES: tuple[type[Exception], ...] = tuple(error for _, errors in ENGINES for error in errors)


class CannotDo(Exception):
    """The request cannot be met; the text says why, and what to do."""


class UnknownOrder(CannotDo):
    """No part of the system has heard of the order."""

    def __init__(self, order_id: int) -> None:
        super().__init__(f"no part of the system knows order {order_id}; GET /orders lists the orders")


class UnknownDeadLetters(CannotDo):
    """No dead letters have these sequences."""

    def __init__(self, sequences: Collection[int]) -> None:
        missing = ", ".join(map(str, sorted(sequences)))
        super().__init__(f"there is no dead letter {missing}; `./saga dead-letters list` shows those that exist")


class CannotRebuild(CannotDo):
    """The view cannot be rebuilt now."""


def outage(error: Exception) -> str:
    """What to tell the operator about one of OUTAGES."""
    engine = next(name for name, errors in ENGINES if isinstance(error, errors))
    return f"{engine} does not answer ({_reason(error)}); `make status` shows what runs, `make up` starts what does not"


def _reason(error: Exception) -> str:
    """The error's text in one line."""
    text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
    return " ".join(text.split()) or type(error).__name__
