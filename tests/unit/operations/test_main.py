"""./saga itself: what it refuses before it reads anything, and how it names what went wrong."""

import asyncpg
import nats.errors
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import KafkaError, KafkaException
from nats.js.errors import BadRequestError, ServiceUnavailableError
from pymongo.errors import ServerSelectionTimeoutError

from infra.provision.settings import Settings
from operations import __main__ as command_line
from operations.__main__ import saga
from operations.errors import CannotRebuild, UnknownDeadLetters, UnknownOrder, outage
from services.bridge.kafka import TopicsChanged
from services.history.views import ViewUnavailable


@pytest.fixture(autouse=True)
def _no_settings_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_URL", raising=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(saga, list(arguments))


def test_a_stack_that_does_not_exist_is_named_with_what_to_do() -> None:
    result = run("--name", "nosuch", "audit")
    assert result.exit_code == 1
    assert (
        result.output == 'Error: there is no stack "nosuch": `make up NAME=nosuch` starts one, --name takes another\n'
    )


def test_a_name_that_no_stack_can_have_is_refused() -> None:
    result = run("--name", "No Such", "audit")
    assert result.exit_code == 1
    assert result.output == "Error: NAME=No Such: a stack's name is lower-case letters, digits and hyphens\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["explain", "order", "many"], "'many' is not a valid integer"),
        (["explain", "order", str(2**63)], f"{2**63} is not in the range"),
        (["explain", "customer", "1"], "'customer' is not 'order'"),
        (["explain", "order"], "Missing argument 'IDENTIFIER'"),
        (["dead-letters", "redeliver"], "name either the sequences to redeliver, or --all"),
        (["dead-letters", "redeliver", "--all", "7"], "name either the sequences to redeliver, or --all"),
        (["dead-letters", "redeliver", "0"], "0 is not in the range"),
        (["dead-letters", "redeliver", "first"], "'first' is not a valid integer"),
        (["dead-letters", "resend", "7"], "No such command 'resend'"),
        (["republish", "history"], "'history' is not one of 'customer', 'order', 'all'"),
        (["nosuch"], "No such command 'nosuch'"),
    ],
)
def test_arguments_that_cannot_be_meant_are_named_before_anything_is_read(
    arguments: list[str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "_settings", Settings.model_construct)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert named in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ConnectionRefusedError(111, "Connection refused"),
            "PostgreSQL does not answer ([Errno 111] Connection refused)",
        ),
        (TimeoutError(), "PostgreSQL does not answer (TimeoutError)"),
        (asyncpg.CannotConnectNowError("starting up"), "PostgreSQL does not answer (starting up)"),
        (asyncpg.InterfaceError("connection is closed"), "PostgreSQL does not answer (connection is closed)"),
        (nats.errors.NoServersError(), "NATS does not answer (nats: no servers available for connection)"),
        (nats.errors.TimeoutError(), "NATS does not answer (nats: timeout)"),
        (ServiceUnavailableError(code=503, description="not up"), "NATS does not answer ("),
        (ServerSelectionTimeoutError("no\nserver"), "MongoDB does not answer (no server)"),
        (ViewUnavailable("MongoDB: locked"), "MongoDB does not answer (MongoDB: locked)"),
        (KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out")), "Kafka does not answer (timed out)"),
        (TopicsChanged("goes back"), "Kafka does not answer (goes back)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_outage_names_the_engine_and_what_to_do(error: Exception, text: str) -> None:
    assert outage(error).startswith(text)
    assert outage(error).endswith("; `make status` shows what runs, `make up` starts what does not")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UnknownOrder(42), "Error: no part of the system knows order 42; GET /orders lists the orders\n"),
        (
            UnknownDeadLetters({9, 7}),
            "Error: there is no dead letter 7, 9; `./saga dead-letters list` shows those that exist\n",
        ),
        (CannotRebuild("wait until it is live"), "Error: wait until it is live\n"),
        (OSError("refused"), f"Error: {outage(OSError('refused'))}\n"),
    ],
)
def test_an_error_that_the_operator_can_do_something_about_is_one_line_of_text(
    error: Exception, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_settings: Settings) -> None:
        raise error

    monkeypatch.setattr(command_line, "_settings", lambda _name: None)
    monkeypatch.setattr(command_line, "_rebuild_view", fail)
    result = run("rebuild-view")
    assert (result.exit_code, result.output) == (1, text)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        asyncpg.PostgresSyntaxError("at or near"),
        BadRequestError(code=400, description="bad request"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_program_itself_is_not_hidden(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_settings: Settings) -> None:
        raise error

    monkeypatch.setattr(command_line, "_settings", lambda _name: None)
    monkeypatch.setattr(command_line, "_rebuild_view", fail)
    assert run("rebuild-view").exception is error
