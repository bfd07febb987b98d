"""The keeper's repairs on a running stack: what an engine loses is restored by the keeper's process, and events flow.

Each test stops the keeper with SIGSTOP while it does the damage, so that the damage is seen before it is repaired.
`Stack.wait_ready` of an engine is not used here, because it repairs the engine itself.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from pymongo import MongoClient

from infra.native import Stack
from infra.provision import kafka
from infra.provision.connectors import connect_api
from infra.provision.settings import Settings
from tests.checker import assert_converges
from tests.drivers import System, stopped
from tests.eventually import eventually

REPAIR_SECONDS = 60.0
KAFKA_SECONDS = 15.0
CONNECTOR = "order-outbox"
SLOT = "order_outbox"
RETENTION = "retention.ms"


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Settings:
    return Settings.read(stack.environment("keeper"))


@pytest.fixture(autouse=True)
def events_flow_in_the_end(stack: Stack, system: System) -> Iterator[None]:
    """After each test an order makes its way through the whole system."""
    yield
    eventually(lambda: assert_an_order_is_approved(system), within=REPAIR_SECONDS)


def assert_an_order_is_approved(system: System) -> None:
    customer = system.customers.create(limit=10)
    assert_approved(system, system.orders.place(customer, 4))
    assert_converges(system, customer)


def assert_approved(system: System, order: int) -> None:
    assert system.orders.settled(order)["orderState"] == "APPROVED"


@contextmanager
def stopped_keeper(stack: Stack) -> Iterator[None]:
    """The keeper's process sleeps meanwhile."""
    stack.signal("keeper", signal.SIGSTOP)
    try:
        yield
    finally:
        stack.signal("keeper", signal.SIGCONT)


def sql(settings: Settings, statement: str, *arguments: object, database: str = "postgres") -> Any:
    """Runs a statement as PostgreSQL's administrator; returns the first value of its result."""

    async def run() -> Any:
        url = settings.postgres_url.get_secret_value().rsplit("/", 1)[0]
        connection = await asyncpg.connect(f"{url}/{database}")
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()

    return asyncio.run(run())


@contextmanager
def mongodb(settings: Settings) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](settings.mongodb_admin_url.get_secret_value()) as client:
        yield client


def connector_states(settings: Settings) -> list[str]:
    """The state of the connector and of its task; empty if Connect does not know the connector."""
    with connect_api(settings) as api:
        answer = api.get(f"/connectors/{CONNECTOR}/status")
        if answer.status_code == 404:
            return []
        status = answer.raise_for_status().json()
    return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]


def assert_runs(settings: Settings) -> None:
    assert connector_states(settings) == ["RUNNING", "RUNNING"]


def test_a_deleted_connector_is_registered_again(stack: Stack, settings: Settings) -> None:
    with stopped_keeper(stack), connect_api(settings) as api:
        api.delete(f"/connectors/{CONNECTOR}").raise_for_status()
        eventually(lambda: assert_equal(connector_states(settings), []))
    eventually(lambda: assert_runs(settings), within=REPAIR_SECONDS)


def test_a_changed_option_of_a_connector_is_restored(stack: Stack, settings: Settings) -> None:
    def tolerance() -> str:
        with connect_api(settings) as api:
            return str(api.get(f"/connectors/{CONNECTOR}/config").raise_for_status().json()["errors.tolerance"])

    with stopped_keeper(stack), connect_api(settings) as api:
        config = api.get(f"/connectors/{CONNECTOR}/config").raise_for_status().json()
        changed = {**config, "errors.tolerance": "all"}
        api.put(f"/connectors/{CONNECTOR}/config", json=changed).raise_for_status()
        eventually(lambda: assert_equal(tolerance(), "all"))
    eventually(lambda: assert_equal(tolerance(), "none"), within=REPAIR_SECONDS)
    eventually(lambda: assert_runs(settings), within=REPAIR_SECONDS)


def test_a_connector_whose_task_failed_is_restarted(stack: Stack, settings: Settings) -> None:
    with stopped_keeper(stack):
        sql(settings, "ALTER PUBLICATION order_outbox RENAME TO away", database="order_service")
        try:
            with connect_api(settings) as api:
                api.post(f"/connectors/{CONNECTOR}/restart", params={"includeTasks": "true"}).raise_for_status()
            eventually(lambda: assert_equal(connector_states(settings), ["RUNNING", "FAILED"]), within=REPAIR_SECONDS)
        finally:
            sql(settings, "ALTER PUBLICATION away RENAME TO order_outbox", database="order_service")
    eventually(lambda: assert_runs(settings), within=REPAIR_SECONDS)


@pytest.mark.parametrize("attribute", ["NOLOGIN", "NOREPLICATION"])
def test_an_attribute_that_a_replication_role_lost_is_restored(
    attribute: str, stack: Stack, settings: Settings
) -> None:
    def has_all() -> bool:
        query = "SELECT rolcanlogin AND rolreplication FROM pg_roles WHERE rolname = 'order_service_cdc'"
        return bool(sql(settings, query))

    with stopped_keeper(stack):
        sql(settings, f"ALTER ROLE order_service_cdc {attribute}")
        assert not has_all()
    eventually(lambda: assert_equal(has_all(), True), within=REPAIR_SECONDS)


def test_the_idle_time_out_of_a_replication_role_is_lifted_again(stack: Stack, settings: Settings) -> None:
    """Debezium's snapshot is one transaction; with the time-out a long one would begin again without end."""

    def is_lifted() -> bool:
        query = "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'order_service_cdc'::regrole"
        return bool(sql(settings, query) == ["idle_in_transaction_session_timeout=0"])

    assert is_lifted()
    with stopped_keeper(stack):
        sql(settings, "ALTER ROLE order_service_cdc RESET ALL")
        assert not is_lifted()
    eventually(lambda: assert_equal(is_lifted(), True), within=REPAIR_SECONDS)


@pytest.mark.parametrize("role", ["order_service", "order_service_cdc"])
def test_a_revoked_privilege_to_connect_is_granted_again(role: str, stack: Stack, settings: Settings) -> None:
    def may_connect() -> bool:
        return bool(sql(settings, "SELECT has_database_privilege($1, 'order_service', 'CONNECT')", role))

    with stopped_keeper(stack):
        sql(settings, f"REVOKE CONNECT ON DATABASE order_service FROM {role}")
        assert not may_connect()
    eventually(lambda: assert_equal(may_connect(), True), within=REPAIR_SECONDS)


def test_a_privilege_for_everybody_to_connect_is_revoked_again(stack: Stack, settings: Settings) -> None:
    def other_may_connect() -> bool:
        query = "SELECT has_database_privilege('customer_service', 'order_service', 'CONNECT')"
        return bool(sql(settings, query))

    with stopped_keeper(stack):
        sql(settings, "GRANT CONNECT ON DATABASE order_service TO PUBLIC")
        assert other_may_connect()
    eventually(lambda: assert_equal(other_may_connect(), False), within=REPAIR_SECONDS)


def test_a_slot_that_the_server_gave_up_is_replaced_and_no_event_is_lost(
    stack: Stack, settings: Settings, system: System
) -> None:
    customer = system.customers.create(limit=10)
    with stopped(stack, "connect"), stopped_keeper(stack):
        order = system.orders.place(customer, 4)
        lose_the_slots(settings)
    eventually(lambda: assert_approved(system, order), within=REPAIR_SECONDS)
    assert slot_status(settings) in ("reserved", "extended")
    eventually(lambda: assert_runs(settings), within=REPAIR_SECONDS)


def lose_the_slots(settings: Settings) -> None:
    """Makes the unread slots hold back more of the log than they may."""
    sql(settings, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    sql(settings, "SELECT pg_reload_conf()")
    try:
        eventually(lambda: assert_equal(write_log(settings), "lost"))
    finally:
        sql(settings, "ALTER SYSTEM RESET max_slot_wal_keep_size")
        sql(settings, "SELECT pg_reload_conf()")


def write_log(settings: Settings) -> str | None:
    """Fills a segment of the log and deletes those that are not needed; returns what became of the slot."""
    sql(settings, "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))")
    sql(settings, "SELECT pg_switch_wal()")
    sql(settings, "CHECKPOINT")
    return slot_status(settings)


def slot_status(settings: Settings) -> str | None:
    status: str | None = sql(settings, "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", SLOT)
    return status


def test_a_deleted_event_topic_is_created_again_and_filled_from_the_outbox(
    stack: Stack, settings: Settings, system: System
) -> None:
    before = kafka.event_topic_ids(settings)["events.order"]
    customer = system.customers.create(limit=10)
    admin = AdminClient(settings.kafka_login())
    with stopped(stack, "bridge"), stopped_keeper(stack):
        order = system.orders.place(customer, 4)
        [deleted] = admin.delete_topics(["events.order"], operation_timeout=KAFKA_SECONDS).values()
        deleted.result(KAFKA_SECONDS)
        eventually(lambda: assert_equal("events.order" in admin.list_topics(timeout=KAFKA_SECONDS).topics, False))
    eventually(lambda: assert_approved(system, order), within=REPAIR_SECONDS)
    assert kafka.event_topic_ids(settings)["events.order"] != before
    assert topic_option(admin, RETENTION) == str(7 * 24 * 3600 * 1000)


def test_a_changed_option_of_a_topic_is_restored(stack: Stack, settings: Settings) -> None:
    admin = AdminClient(settings.kafka_login())
    with stopped_keeper(stack):
        entry = ConfigEntry(RETENTION, "600000", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, "events.order", incremental_configs=[entry])
        [altered] = admin.incremental_alter_configs([resource]).values()
        altered.result(KAFKA_SECONDS)
        eventually(lambda: assert_equal(topic_option(admin, RETENTION), "600000"))
    declared = str(7 * 24 * 3600 * 1000)
    eventually(lambda: assert_equal(topic_option(admin, RETENTION), declared), within=REPAIR_SECONDS)


def topic_option(admin: AdminClient, option: str) -> str | None:
    [described] = admin.describe_configs([ConfigResource(ResourceType.TOPIC, "events.order")]).values()
    value: str | None = described.result(KAFKA_SECONDS)[option].value
    return value


def history_roles(settings: Settings) -> list[str]:
    """The names of the roles of the history's user; empty if there is no such user."""
    with mongodb(settings) as client:
        users = client.admin.command("usersInfo", "history")["users"]
    return [f"{role['role']} {role['db']}" for user in users for role in user["roles"]]


@pytest.fixture
def restarted_history(stack: Stack) -> Iterator[None]:
    """MongoDB never accepts the open connections of a deleted user again, so the history has to open new ones."""
    yield
    stack.stop("history")
    stack.start("history")
    stack.wait_ready("history")


@pytest.mark.usefixtures("restarted_history")
def test_a_deleted_mongodb_user_is_created_again(stack: Stack, settings: Settings) -> None:
    with stopped_keeper(stack), mongodb(settings) as client:
        client.admin.command("dropUser", "history")
        assert history_roles(settings) == []
    eventually(lambda: assert_equal(history_roles(settings), ["readWrite history"]), within=REPAIR_SECONDS)


def test_a_changed_role_of_the_mongodb_user_is_restored(stack: Stack, settings: Settings) -> None:
    with stopped_keeper(stack), mongodb(settings) as client:
        client.admin.command("updateUser", "history", roles=[{"role": "read", "db": "history"}])
        assert history_roles(settings) == ["read history"]
    eventually(lambda: assert_equal(history_roles(settings), ["readWrite history"]), within=REPAIR_SECONDS)


def assert_equal(found: object, expected: object) -> None:
    assert found == expected
