"""`make up`, `make down` and the commands between them, as a user runs them, on a stack of its own."""

import asyncio
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import asyncpg
import psutil
import pytest

from infra.native import Stack, processes
from infra.native.components import COMPONENTS
from infra.native.layout import CHECKOUT
from tests.eventually import eventually

NAME = "make-up"


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the Makefile. Nothing in its environment is about another stack."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "STACK": "native"}
    command = ["make", "--no-print-directory", *arguments, f"NAME={NAME}"]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


def succeed(*arguments: str) -> str:
    done = make(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def call(url: str, body: Mapping[str, Any] | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310  (our own address)
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


@pytest.fixture(scope="module")
def report() -> Iterator[str]:
    """The output of the first `make up`."""
    succeed("reset")
    yield succeed("up")
    succeed("reset")


@pytest.fixture
def stack(report: str) -> Stack:
    assert report
    return Stack.load(NAME)


@pytest.fixture(scope="module")
def customers(report: str) -> str:
    """The URL of the customer service, from the report."""
    found = re.search(r"customers +(http://\S+)", report)
    assert found is not None, report
    return found[1]


@pytest.fixture(scope="module")
def customer(customers: str) -> int:
    """A customer that was created right after the first `make up`."""
    body = {"name": "Jane Doe", "creditLimit": {"amount": 5}}
    return int(call(f"{customers}/customers", body)["customerId"])


def pids(stack: Stack) -> dict[str, int]:
    return {name: state.pid for name, state in stack.states().items()}


def test_up_shows_each_component_and_proves_that_an_event_flows(report: str) -> None:
    for component in COMPONENTS:
        assert re.search(rf"^  {component} +\d+\.\d s", report, re.MULTILINE), component
    assert re.search(r"event flow .* ms \(customer\)", report)
    assert f'The stack "{NAME}" is ready after' in report


def test_the_command_that_the_report_suggests_creates_a_customer(report: str, stack: Stack) -> None:
    [command] = [line for line in report.splitlines() if line.strip().startswith("curl ")]
    answer = subprocess.run(["sh", "-c", f"{command} -sS"], capture_output=True, text=True, check=True).stdout
    customer = json.loads(answer)["customerId"]
    assert call(f"http://127.0.0.1:{stack.port('customer')}/customers/{customer}")["name"] == "Jane Doe"


def test_a_second_up_leaves_every_process_running(stack: Stack) -> None:
    before = pids(stack)
    succeed("up")
    assert pids(stack) == before


def test_migrate_tells_that_no_migration_is_missing_after_up(stack: Stack) -> None:
    assert stack.states()
    assert succeed("migrate").strip() == "all migrations are applied"


def test_status_has_one_line_for_each_component_and_the_memory_of_all(stack: Stack) -> None:
    lines = succeed("status").splitlines()
    shown = {line.split()[0]: line.split()[1] for line in lines[1:-1]}
    assert shown == dict.fromkeys(COMPONENTS, "running")
    megabytes = int(lines[-1].split()[-2])
    assert 0 < megabytes < 2500
    assert stack.states()


def test_logs_shows_the_log_of_a_component(stack: Stack) -> None:
    assert "Kafka Server started" in succeed("logs", "COMPONENT=kafka")
    assert stack.layout.log_of("kafka").exists()


def test_an_unknown_component_is_refused_and_the_known_ones_are_named(stack: Stack) -> None:
    assert stack.states()
    refused = make("restart", "COMPONENT=kofka")
    assert refused.returncode != 0
    assert "kafka" in refused.stderr


def test_files_with_secrets_are_readable_by_their_owner_only(stack: Stack) -> None:
    for file in ("secrets.env", "run/supervisord.conf", "run/connect/connect-users.properties"):
        assert (stack.folder / file).stat().st_mode & 0o077 == 0, file


def test_every_killed_component_is_started_again(stack: Stack) -> None:
    before = pids(stack)
    for component in COMPONENTS:
        stack.signal(component, signal.SIGKILL)

    def all_are_back() -> None:
        for component, state in stack.states().items():
            assert state.state == "RUNNING", component
            assert state.pid != before[component], component

    eventually(all_are_back, within=60.0)
    stack.wait_ready()


def test_the_slot_of_an_idle_database_does_not_hold_wal_back_after_its_connector_was_restarted(stack: Stack) -> None:
    """Once seen: after a restart, Debezium confirmed no position until the first transaction of the database."""
    asyncio.run(write_wal_in_another_database(stack, megabytes=20))

    def holds_little_back() -> None:
        assert asyncio.run(held_back(stack, "customer_outbox")) < 5_000_000

    eventually(holds_little_back, within=90.0)


def test_up_after_every_process_was_killed_keeps_all_data(stack: Stack, customers: str, customer: int) -> None:
    for process in all_processes(stack):
        # PostgreSQL's children end by themselves when their parent was killed.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    succeed("up")
    assert call(f"{customers}/customers/{customer}")["name"] == "Jane Doe"


def test_down_ends_all_processes_if_the_supervisor_was_killed(stack: Stack) -> None:
    [supervisor] = {psutil.Process(pid).ppid() for pid in pids(stack).values()}
    os.kill(supervisor, signal.SIGKILL)
    assert len(all_processes(stack)) >= len(COMPONENTS)
    succeed("down")
    assert all_processes(stack) == []


def test_up_after_down_keeps_all_data(stack: Stack, customers: str, customer: int) -> None:
    succeed("up")
    assert call(f"{customers}/customers/{customer}")["name"] == "Jane Doe"


def test_down_leaves_no_process_and_frees_every_port(stack: Stack) -> None:
    assert all_processes(stack)
    servers = listening(stack)
    assert servers.keys() == set(stack.ports.values())
    succeed("down")
    assert all_processes(stack) == []
    # A freed port may belong to another program by now, for example to a stack of another checkout.
    assert listening(stack).items() & servers.items() == set()
    assert "is down" in make("status").stdout


async def write_wal_in_another_database(stack: Stack, megabytes: int) -> None:
    connection = await asyncpg.connect(stack.environment("order")["DATABASE_URL"])
    try:
        text = "x" * 1_000_000
        for _ in range(megabytes):
            await connection.execute("SELECT pg_logical_emit_message(false, 'test', $1::text)", text)
    finally:
        await connection.close()


async def held_back(stack: Stack, slot: str) -> int:
    """Bytes of WAL that the server keeps for the slot."""
    connection = await asyncpg.connect(stack.environment("keeper")["POSTGRES_URL"])
    try:
        query = "SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1"
        return int(await connection.fetchval(query, slot))
    finally:
        await connection.close()


def all_processes(stack: Stack) -> list[psutil.Process]:
    return processes.of_stack(stack.folder, stack.folder / "data" / "postgres")


def listening(stack: Stack) -> dict[int, int | None]:
    """The process id of the server on each of the stack's ports that a server listens on."""
    sockets = [socket for socket in psutil.net_connections(kind="inet") if socket.status == psutil.CONN_LISTEN]
    ports = set(stack.ports.values())
    return {socket.laddr.port: socket.pid for socket in sockets if socket.laddr and socket.laddr.port in ports}
