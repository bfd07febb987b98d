from enum import StrEnum

import pytest

from tests.unit.web.requests import request
from web.pages import DEFAULT_LIMIT, Page, page_body, requested_page
from web.parameters import idempotency_key, optional_choice, optional_int64, path_id, preferred_wait
from web.problems import BadInput


class Colour(StrEnum):
    RED = "RED"


@pytest.mark.parametrize("text", ["0", "-1", "7", str(2**63 - 1), str(-(2**63)), "007"])
def test_an_id_is_any_integer_that_the_database_can_hold(text: str) -> None:
    assert path_id(request(path_params={"orderId": text}), "orderId") == int(text)


@pytest.mark.parametrize(
    "text", ["", "x", "1.0", "1e3", "+1", " 1", "1_0", "\u0661", str(2**63), str(-(2**63) - 1), "9" * 99]
)
def test_an_id_that_is_none_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(BadInput, match="orderId"):
        path_id(request(path_params={"orderId": text}), "orderId")


def test_a_query_parameter_may_be_absent() -> None:
    assert optional_int64(request(), "after") is None
    assert optional_choice(request(), "colour", Colour) is None


def test_a_choice_is_one_of_those_that_there_are() -> None:
    assert optional_choice(request("colour=RED"), "colour", Colour) is Colour.RED
    with pytest.raises(BadInput, match="colour: must be one of RED"):
        optional_choice(request("colour=red"), "colour", Colour)


@pytest.mark.parametrize("key", ["k", "k" * 255, "550e8400-e29b", 'a "quoted" one'])
def test_an_idempotency_key_is_taken_as_it_is(key: str) -> None:
    assert idempotency_key(request(headers={"Idempotency-Key": key})) == key


@pytest.mark.parametrize("key", ["", "k" * 256, "caf\u00e9", "a\tb"])
def test_an_idempotency_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(BadInput, match="Idempotency-Key"):
        idempotency_key(request(headers={"Idempotency-Key": key}))


def test_without_an_idempotency_key_there_is_none() -> None:
    assert idempotency_key(request()) is None


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (["wait=5"], 5.0),
        (["Wait=5"], 5.0),
        (["respond-async, wait=10"], 10.0),
        (["wait=10; foo=bar, respond-async"], 10.0),
        (["respond-async", "wait=7"], 7.0),
        (["wait=0"], 0.0),
        (["wait=31"], 30.0),
        (["wait=999999999"], 30.0),
        (["wait=-1"], None),
        (["wait=soon"], None),
        (["wait=1.5"], None),
        (["wait"], None),
        (["await=5"], None),
        (["respond-async"], None),
        ([], None),
    ],
)
def test_a_preference_to_wait_is_read_as_the_standard_writes_it(prefer: list[str], seconds: float | None) -> None:
    assert preferred_wait(request(headers=[("Prefer", value) for value in prefer])) == seconds


def test_a_page_is_the_first_fifty_unless_told_otherwise() -> None:
    page = requested_page(request())
    assert page == Page(DEFAULT_LIMIT, None)
    assert page.ascending_start() == -(2**63)


def test_a_page_starts_after_the_given_id() -> None:
    page = requested_page(request("limit=2&after=0"))
    assert page == Page(2, 0)
    assert page.ascending_start() == 0


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit="])
def test_a_limit_out_of_range_is_refused(query: str) -> None:
    with pytest.raises(BadInput, match="limit"):
        requested_page(request(query))


def test_a_full_page_names_the_next_one_and_keeps_the_filters() -> None:
    asked = request("state=APPROVED&limit=1&after=3")
    body = page_body(asked, requested_page(asked), [{"orderId": 9}], 9)
    assert body == {"items": [{"orderId": 9}], "next": "/things?state=APPROVED&limit=1&after=9"}


def test_a_page_that_is_not_full_is_the_last() -> None:
    asked = request("limit=2")
    assert page_body(asked, requested_page(asked), [{"orderId": 9}], 9) == {"items": [{"orderId": 9}]}
