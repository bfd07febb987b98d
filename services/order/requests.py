"""The bodies that clients send to the order service."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contracts.money import PositiveMoney
from contracts.wire import Id


class CreateOrder(BaseModel):
    """`{"customerId": 1, "orderTotal": {"amount": 4}}`; whether the customer exists is the saga's question."""

    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)

    customer_id: Annotated[Id, Field(alias="customerId")]
    order_total: Annotated[PositiveMoney, Field(alias="orderTotal")]
