"""The part `post` of the benchmark runs for a few seconds. Its rates are not checked."""

from bench import floors
from bench.rig import open_rig
from infra.native import Stack

RATES = {
    floors.POST,
    floors.POST_WITH_KEY,
    floors.SERVICE_WITHOUT_DATABASE,
    floors.BARE_TRANSACTION,
    floors.ONE_STATEMENT,
    floors.POST_UNDER_LOAD,
}


async def test_post_orders_is_measured_with_and_without_a_key_beside_its_floors(stack: Stack) -> None:
    async with open_rig(stack) as rig:
        customers = await rig.create_customers(3)
        keys_before = await rig.orders.fetchval("SELECT count(*) FROM idempotency_keys")
        section = await floors.measure(rig, customers, seconds=0.4, runs=1, connections=4)
        keys = await rig.orders.fetchval("SELECT count(*) FROM idempotency_keys")
        databases = await rig.orders.fetchval("SELECT count(*) FROM pg_database WHERE datname LIKE 'bench%'")
    assert keys > keys_before
    assert {figure.name for figure in section.figures if figure.unit == "/s" and figure.median > 0} == RATES
    assert sum(figure.unit == "ratio" for figure in section.figures) == 4
    assert databases == 0, "the scratch database was not dropped"
