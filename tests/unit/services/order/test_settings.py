"""What the order service does unless its environment says otherwise."""

from datetime import timedelta

import pytest

from services.order.settings import Settings

REQUIRED = {"http_port": 0, "database_url": "", "nats_url": "", "nats_token": ""}


def test_by_default_an_order_waits_fifteen_minutes_for_its_decision() -> None:
    settings = Settings.model_validate(REQUIRED)
    assert settings.order_deadline == timedelta(minutes=15)


def test_by_default_events_are_kept_for_a_week_and_keys_for_a_day() -> None:
    settings = Settings.model_validate(REQUIRED)
    assert settings.outbox_retention == timedelta(days=7)
    assert settings.idempotency_retention == timedelta(days=1)


@pytest.mark.parametrize("name", ["order_deadline_seconds", "attempts_unseen"])
def test_a_limit_of_zero_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.model_validate(REQUIRED | {name: 0})
