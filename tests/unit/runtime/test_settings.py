"""Settings come from the environment that is given, and no secret is ever shown."""

from typing import Any

import pytest

from runtime.settings import ServerSettings
from services.bridge.settings import Settings as BridgeSettings
from services.customer.settings import Settings as CustomerSettings
from services.history.settings import Settings as HistorySettings
from services.order.settings import Settings as OrderSettings

SECRET = "a-secret-of-the-tests"

ENVIRONMENT = {
    "HTTP_PORT": "8081",
    "DATABASE_URL": f"postgresql://role:{SECRET}@127.0.0.1:1/orders",
    "MONGODB_URL": f"mongodb://role:{SECRET}@127.0.0.1:1/view",
    "NATS_URL": "nats://127.0.0.1:1",
    "NATS_TOKEN": SECRET,
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "KAFKA_USERNAME": "bridge",
    "KAFKA_PASSWORD": SECRET,
}
SERVICES = pytest.mark.parametrize(
    "kind", [BridgeSettings, CustomerSettings, HistorySettings, OrderSettings], ids=lambda kind: kind.__module__
)
Kind = type[ServerSettings]


def _required(kind: Kind) -> list[str]:
    return [name.upper() for name, field in kind.model_fields.items() if field.is_required()]


@SERVICES
def test_a_service_reads_its_variables(kind: Kind) -> None:
    settings = kind.read(ENVIRONMENT | {"HTTP_HOST": "0.0.0.0", "LOG_LEVEL": "debug", "PATH": "/bin"})  # noqa: S104
    assert (settings.http_port, settings.http_host, settings.log_level) == (8081, "0.0.0.0", "debug")  # noqa: S104


@SERVICES
def test_each_missing_variable_is_named_and_ends_the_process(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    assert "HTTP_PORT" in _required(kind)
    for missing in _required(kind):
        with pytest.raises(SystemExit) as ending:
            kind.read({name: value for name, value in ENVIRONMENT.items() if name != missing})
        assert ending.value.code == 2
        output = capsys.readouterr()
        assert output.err == f"setting {missing}: field required (an environment variable)\n"
        assert output.out == ""


@SERVICES
def test_an_empty_variable_counts_as_missing(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    for name in _required(kind):
        with pytest.raises(SystemExit):
            kind.read(ENVIRONMENT | {name: ""})
        assert capsys.readouterr().err == f"setting {name}: field required (an environment variable)\n"
    settings = kind.read(ENVIRONMENT | {"HTTP_HOST": "", "LOG_LEVEL": ""})
    assert (settings.http_host, settings.log_level) == ("127.0.0.1", "INFO")


@SERVICES
def test_a_variable_in_small_letters_is_not_a_setting(kind: Kind) -> None:
    assert kind.read(ENVIRONMENT | {"http_port": "9999"}).http_port == 8081


@SERVICES
def test_variables_of_this_process_do_not_stand_in_for_missing_ones(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        kind.read({})


@SERVICES
def test_without_an_argument_the_environment_of_the_process_is_read(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert kind.read().http_port == 8081


def test_a_wrong_variable_is_named_without_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        OrderSettings.read(ENVIRONMENT | {"HTTP_PORT": SECRET, "ORDER_DEADLINE_SECONDS": "0"})
    output = capsys.readouterr().err
    assert "setting HTTP_PORT: input should be a valid integer" in output
    assert "setting ORDER_DEADLINE_SECONDS: input should be greater than or equal to 1" in output
    assert SECRET not in output


@SERVICES
def test_the_text_of_settings_shows_no_secret(kind: Kind) -> None:
    settings = kind.read(ENVIRONMENT)
    for text in (repr(settings), str(settings), f"{settings}", settings.model_dump_json()):
        assert SECRET not in text


@SERVICES
def test_settings_are_frozen(kind: Kind) -> None:
    settings: Any = kind.read(ENVIRONMENT)
    with pytest.raises(ValueError, match="frozen"):
        settings.http_port = 1
