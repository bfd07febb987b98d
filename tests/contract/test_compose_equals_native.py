"""The two ways to run the stack are one stack: same versions, same files, same names in the environment."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import credentials
from infra.native import engines
from infra.native.components import COMPONENTS, KEEPER_SETTINGS, SERVICE_SETTINGS, Blueprint, Component
from infra.native.layout import CHECKOUT, INFRA, Layout
from infra.native.ports import PUBLIC, USUAL
from infra.native.postgres import PostgresRunner
from infra.provision.connectors import declared_connectors

COMPOSE_FILE = INFRA / "compose.yaml"
FROM_IMAGE_OR_MACHINE = {"JAVA_HOME", "KAFKA_JARS", "KAFKA_DATA", "CONNECT_PRIVATE"}
"""Where things lie: set by the image in containers, and by the stack for processes."""


def docker_compose(env_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Compose itself, from its package: it validates and resolves without an engine."""
    program = str(Path(sys.executable).with_name("docker-compose"))
    command = [program, "--file", str(COMPOSE_FILE), "--env-file", str(env_file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, check=False)


@pytest.fixture(scope="module")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("compose") / "secrets.env"
    credentials.ensure(file)
    return file


@pytest.fixture(scope="module")
def compose(env_file: Path) -> dict[str, Any]:
    resolved = docker_compose(env_file, "config", "--format", "json")
    # Judged by what it prints: the package's launcher answers 0 whatever compose answered.
    assert resolved.stdout, resolved.stderr
    return dict(json.loads(resolved.stdout)["services"])


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Component]:
    layout = Layout(tmp_path_factory.mktemp("native"))
    postgres = PostgresRunner("self", engines.postgres_folder(), layout.data / "postgres")
    secrets = credentials.ensure(layout.secrets)
    settings = dict.fromkeys((*SERVICE_SETTINGS, *KEEPER_SETTINGS), "set")
    blueprint = Blueprint(layout, USUAL, secrets, postgres, settings)
    return {component.name: component for component in blueprint.components()}


def output_of(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


def numbers(text: str, how_many: int) -> tuple[int, ...]:
    """The first parts of the first version in a text: (18,) or (2, 15)."""
    found = re.search(r"\d+(\.\d+)*", text)
    assert found is not None, text
    return tuple(int(part) for part in found[0].split("."))[:how_many]


def image_version(compose: dict[str, Any], service: str, how_many: int) -> tuple[int, ...]:
    return numbers(compose[service]["image"].partition(":")[2], how_many)


def test_both_stacks_have_the_same_components(compose: dict[str, Any], native: dict[str, Component]) -> None:
    assert compose.keys() == native.keys() == set(COMPONENTS)


def test_postgres_is_of_the_same_major_version(compose: dict[str, Any]) -> None:
    local = numbers(output_of(engines.postgres_folder() / "postgres", "--version"), 1)
    assert image_version(compose, "postgres", 1) == local


def test_mongo_is_of_the_same_series(compose: dict[str, Any]) -> None:
    local = numbers(output_of(engines.mongod(), "--version").partition("version v")[2], 2)
    assert image_version(compose, "mongo", 2) == local


def test_nats_is_of_the_same_series(compose: dict[str, Any]) -> None:
    local = numbers(output_of(engines.nats_server(), "--version").partition(": v")[2], 2)
    assert image_version(compose, "nats", 2) == local


def test_kafka_and_connect_come_from_the_same_pom_and_the_same_hashes() -> None:
    dockerfile = (INFRA / "Dockerfile").read_text()
    assert "COPY infra/kafka/pom.xml infra/kafka/jars.sha256 ./" in dockerfile
    assert "sha256sum --check" in dockerfile
    assert "requirements/runtime.txt" in dockerfile


@pytest.mark.parametrize("component", ["kafka", "connect"])
def test_kafka_and_connect_are_started_by_the_same_script(
    component: str, compose: dict[str, Any], native: dict[str, Component]
) -> None:
    [in_container] = compose[component]["command"]
    assert (CHECKOUT / in_container).is_file()
    assert str(CHECKOUT / in_container) in native[component].command


@pytest.mark.parametrize("component", ["customer", "order", "history", "bridge", "keeper"])
def test_python_components_run_the_same_module(
    component: str, compose: dict[str, Any], native: dict[str, Component]
) -> None:
    assert compose[component]["command"][1:] == list(native[component].command[1:])


@pytest.mark.parametrize("component", [name for name in COMPONENTS if name not in ("postgres", "mongo")])
def test_a_component_finds_the_same_names_in_its_environment(
    component: str, compose: dict[str, Any], native: dict[str, Component]
) -> None:
    in_container = set(compose[component]["environment"]) - FROM_IMAGE_OR_MACHINE
    assert in_container == set(native[component].environment) - FROM_IMAGE_OR_MACHINE


@pytest.mark.parametrize(
    ("component", "files"),
    [
        ("postgres", {"postgres/postgresql.conf", "postgres/pg_hba.conf"}),
        ("nats", {"nats/nats-server.conf"}),
        ("mongo", {"mongo/mongod.conf"}),
    ],
)
def test_an_engine_reads_the_same_configuration_files(
    component: str, files: set[str], compose: dict[str, Any], native: dict[str, Component]
) -> None:
    mounted = {Path(volume["source"]) for volume in compose[component]["volumes"] if volume["type"] == "bind"}
    assert mounted == {INFRA / file for file in files}
    named = {Path(part) for part in native[component].command if part.endswith(".conf")}
    assert component == "postgres" or named == mounted


def test_connectors_take_addresses_and_passwords_from_the_environment_of_both_stacks(
    compose: dict[str, Any], native: dict[str, Component]
) -> None:
    for connector in declared_connectors():
        assert connector.config["database.password"].startswith("${env:"), connector.name
        referred = set(re.findall(r"\$\{env:(\w+)\}", json.dumps(connector.config)))
        assert referred <= set(compose["connect"]["environment"])
        assert referred <= set(native["connect"].environment)


def test_containers_are_reached_from_this_machine_only(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose.items() if service.get("ports")}
    assert published.keys() == PUBLIC.keys()
    for name, ports in published.items():
        assert [(port["host_ip"], int(port["published"])) for port in ports] == [("127.0.0.1", USUAL[name])]


@pytest.mark.parametrize("secret", [name for name in credentials.NAMES if name != "SUPERVISOR_PASSWORD"])
def test_no_secret_has_a_default(secret: str, env_file: Path, tmp_path: Path) -> None:
    incomplete = tmp_path / "secrets.env"
    lines = env_file.read_text().splitlines(keepends=True)
    incomplete.write_text("".join(line for line in lines if not line.startswith(f"{secret}=")))
    refused = docker_compose(incomplete, "config", "--format", "json")
    assert refused.stdout == ""
    assert f"required variable {secret} is missing" in refused.stderr


def test_every_container_is_started_again_has_bounds_and_tells_its_health(compose: dict[str, Any]) -> None:
    for name, service in compose.items():
        assert service["restart"] == "unless-stopped", name
        assert int(service["mem_limit"]) > 0, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["healthcheck"]["test"], name


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_container_gets_as_much_time_to_stop_as_the_process(
    component: str, compose: dict[str, Any], native: dict[str, Component]
) -> None:
    # Containers get 10 s by default.
    seconds = int(numbers(compose[component].get("stop_grace_period", "10s"), 1)[0])
    assert component == "nats" or seconds >= native[component].stop_seconds


@pytest.mark.parametrize(
    ("engine", "folder"),
    [("postgres", "/var/lib/postgresql"), ("nats", "/data"), ("mongo", "/data/db"), ("kafka", "/data")],
)
def test_the_data_of_an_engine_outlive_its_container(engine: str, folder: str, compose: dict[str, Any]) -> None:
    named = {volume["target"]: volume["source"] for volume in compose[engine]["volumes"] if volume["type"] == "volume"}
    assert named == {folder: engine}


def test_the_application_image_holds_all_code_that_its_programs_import() -> None:
    dockerfile = (INFRA / "Dockerfile").read_text()
    allowed = (INFRA / "Dockerfile.dockerignore").read_text().splitlines()
    for package in ("contracts", "runtime", "storage", "messaging", "web", "services", "operations", "infra/provision"):
        assert f"COPY {package} {package}\n" in dockerfile, package
        assert f"!{package}" in allowed, package
