"""The check of a problem answer (RFC 9457)."""

import httpx


def assert_problem(answer: httpx.Response, status: int, *fields: str) -> None:
    """The answer is a problem with this status, and names exactly these fields."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert [fault["field"] for fault in problem.get("errors", [])] == list(fields)
    assert all(fault["detail"] for fault in problem.get("errors", []))
