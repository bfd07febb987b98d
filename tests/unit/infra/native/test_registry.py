"""All stacks of a user on one machine know each other's ports, also those of other checkouts."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.native import ports, registry
from infra.native.ports import PortPlan

NAMED = PortPlan(default_stack=False, settings={})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


def stack_file(tmp_path: Path, name: str) -> Path:
    """The file with the ports of a stack that was up once."""
    file = tmp_path / name
    ports.remember(file, {"postgres": 5432})
    return file


def test_a_stack_sees_the_files_of_the_other_stacks_but_not_its_own(folder: Path, tmp_path: Path) -> None:
    first, second = stack_file(tmp_path, "first"), stack_file(tmp_path, "second")
    for file in (first, second, first):
        with registry.locked(folder) as stacks:
            stacks.enter(file)
    with registry.locked(folder) as stacks:
        assert stacks.others(first) == [second]


def test_a_deleted_stack_is_forgotten(folder: Path, tmp_path: Path) -> None:
    first, second = stack_file(tmp_path, "first"), stack_file(tmp_path, "second")
    with registry.locked(folder) as stacks:
        stacks.enter(first)
    first.unlink()
    with registry.locked(folder) as stacks:
        stacks.enter(second)
    assert (folder / "stacks").read_text() == f"{second}\n"


def test_only_the_owner_may_read_the_registry(folder: Path) -> None:
    with registry.locked(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_stacks_that_start_at_the_same_time_get_different_ports(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _port: True)

    def start(number: int) -> set[int]:
        file = tmp_path / f"stack-{number}"
        with registry.locked(folder) as stacks:
            chosen = ports.choose(NAMED, {}, (), ports.remembered_in(stacks.others(file)))
            ports.remember(file, chosen)
            stacks.enter(file)
        return set(chosen.values())

    with ThreadPoolExecutor(8) as pool:
        chosen = list(pool.map(start, range(8)))
    assert len(set.union(*chosen)) == sum(len(own) for own in chosen)
