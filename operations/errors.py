"""Why a command cannot be carried out. The command line prints the text of each; no traceback is shown.

CannotDo                  the request cannot be met
├── UnknownOrder          no part of the system has heard of the order
├── UnknownDeadLetters    no dead letters have these sequences
└── CannotRebuild         the view cannot be rebuilt now
OUTAGES                   an engine does not answer; `outage` names it
"""

from collections.abc import Collection

import asyncpg
import nats.errors
from confluent_kafka import KafkaException

from services.bridge.kafka import TopicsChanged
from services.history.views import TRANSIENT_ERRORS as MONGODB_ERRORS

ENGINES: tuple[tuple[str, tuple[type[Exception], ...]], ...] = (
    ("Kafka", (KafkaException, TopicsChanged)),
    ("MongoDB", MONGODB_ERRORS),
    ("NATS", (nats.errors.Error,)),
    # Last: asyncpg raises a plain OSError for a refused connection, and the errors of the others may be OSErrors too.
    ("PostgreSQL", (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)),
)
"""By engine, the errors that its client raises while the engine is away or starting."""

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
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{engine} does not answer ({reason}); `make status` shows what runs, `make up` starts what does not"
