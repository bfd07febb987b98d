"""The bodies that clients send to the customer service."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.money import Money

MAX_NAME_LENGTH = 200


def _printable_name(name: str) -> str:
    if not name.strip():
        raise ValueError("must not be empty")
    if "\0" in name:
        raise ValueError("must not contain NUL characters, which PostgreSQL cannot store")
    return name


class CreateCustomer(BaseModel):
    """`{"name": "Jane Doe", "creditLimit": {"amount": 5}}`"""

    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)

    name: Annotated[str, Field(max_length=MAX_NAME_LENGTH), AfterValidator(_printable_name)]
    credit_limit: Annotated[Money, Field(alias="creditLimit")]
