"""PostgreSQL gets a verifier instead of a password, so that no statement contains a password."""

import base64

from infra.provision.scram import verifier

RFC_7677_SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")


def test_the_verifier_is_that_of_the_example_in_rfc_7677() -> None:
    """Password, salt and iterations are those of the RFC; both keys give its proof and its signature."""
    assert verifier("pencil", RFC_7677_SALT) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_each_verifier_has_a_salt_of_its_own() -> None:
    assert verifier("pencil") != verifier("pencil")


def test_a_verifier_needs_no_quoting_in_sql() -> None:
    assert "'" not in verifier("pencil")
