"""What other users and other machines can see of a running stack: nothing but its log of processes."""

import ipaddress
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra import credentials
from infra.native import Stack, processes
from infra.native.ports import USUAL


@pytest.fixture(scope="module")
def running(stack: Stack) -> list[psutil.Process]:
    """All processes of the stack, also the supervisor and PostgreSQL's children."""
    found = processes.of_stack(stack.folder, stack.folder / "data" / "postgres")
    assert {stack.pid(component) for component in stack.states()} <= {process.pid for process in found}
    return found


@pytest.fixture(scope="module")
def secrets(stack: Stack) -> list[str]:
    return list(credentials.ensure(stack.layout.secrets).values())


def listening(running: list[psutil.Process]) -> Iterator[tuple[str, int]]:
    for process in running:
        for connection in process.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.ip, connection.laddr.port


def is_loopback(address: str) -> bool:
    """Java shows an IPv4 address as an IPv6 one."""
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback


def test_every_server_listens_on_127_0_0_1_only(stack: Stack, running: list[psutil.Process]) -> None:
    sockets = set(listening(running))
    assert {address for address, _ in sockets if not is_loopback(address)} == set()
    assert {port for _, port in sockets} == {stack.port(component) for component in USUAL}


def test_files_with_a_secret_are_readable_by_their_owner_only(stack: Stack, secrets: list[str]) -> None:
    holding = [file for file in files(stack.folder) if holds_one(file, secrets)]
    assert {"secrets.env", "supervisord.conf", "connect-users.properties"} <= {file.name for file in holding}
    assert {str(file): oct(mode(file)) for file in holding if mode(file) != 0o600} == {}


def test_the_folders_of_the_stack_are_open_to_their_owner_only(stack: Stack) -> None:
    layout = stack.layout
    folders = [layout.folder, layout.data, layout.logs, layout.run, layout.run / "connect", *layout.data.iterdir()]
    assert {str(folder): oct(mode(folder)) for folder in folders if mode(folder) != 0o700} == {}


def test_no_log_holds_a_secret(stack: Stack, secrets: list[str]) -> None:
    logs = list(stack.layout.logs.iterdir())
    assert len(logs) > len(stack.states())
    assert [file.name for file in logs if holds_one(file, secrets)] == []


def test_no_process_shows_a_secret_in_its_command(running: list[psutil.Process], secrets: list[str]) -> None:
    commands = [" ".join(process.cmdline()) for process in running]
    assert [command for command in commands if any(secret in command for secret in secrets)] == []


def files(folder: Path) -> Iterator[Path]:
    """The files of the stack, without the engines' own data."""
    data = folder / "data"
    return (path for path in folder.rglob("*") if path.is_file() and data not in path.parents)


def holds_one(file: Path, secrets: list[str]) -> bool:
    content = file.read_bytes()
    return any(secret.encode() in content for secret in secrets)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
