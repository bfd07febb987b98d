"""Sends the present state of a service's aggregates again."""

from services.customer import handlers as customer
from services.customer.repository import Repository as Customers
from services.order import handlers as order
from services.order.repository import Repository as Orders
from storage.postgres import open_pool


async def republish(service: str, database_url: str) -> int:
    """Runs the service's own code on its database; returns how many states were sent."""
    async with open_pool(database_url, "republish") as pool:
        if service == "customer":
            return await customer.republish(Customers(pool))
        return await order.republish(Orders(pool))
