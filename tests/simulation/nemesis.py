"""The faults: which kinds there are, how a plan draws them, and how they strike."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from messaging.streams import EVENTS
from tests.simulation.clock import pass_time
from tests.simulation.plan import Action, Fault
from tests.simulation.process import Process
from tests.simulation.system import System

CONSUMERS = ("customer", "order", "history")
DATABASES = ("customer", "order")
LONGEST_SECONDS = 3.0
SLOWNESS = 30.0
REDELIVERY_SECONDS = 0.02
AFTER_SECONDS = (0.01, 0.05, 0.1, 1.0)
"""From an action to a fault: during its transaction, while its event is on the way, or long after that."""


async def strike(system: System, fault: Fault) -> None:
    """At its time, and returns when the fault is over."""
    await pass_time(fault.at)
    system.world.note("nemesis", "%s %s (%.1f s, %d)", fault.kind, fault.target, fault.lasts, fault.amount)
    system.world.struck(f"fault: {fault.kind}")
    await FAULTS[fault.kind](system, fault)
    system.world.note("nemesis", "%s %s is over", fault.kind, fault.target)


async def _kill(system: System, fault: Fault) -> None:
    for process in _processes(system, fault.target):
        process.kill()
    await pass_time(fault.lasts)
    for process in _processes(system, fault.target):
        process.start()


async def _stop(system: System, fault: Fault) -> None:
    """In good order, as at a deployment; killed only if that takes too long."""
    stopping = [process for process in _processes(system, fault.target) if process.life]
    for process in stopping:
        system.stop(process)
    await pass_time(fault.lasts)
    for process in stopping:
        if process.life is None:
            system.world.struck(f"{process.name.partition('-')[0]} stopped in good order")
    await _kill(system, Fault(fault.at, fault.kind, fault.target))


def _processes(system: System, target: str) -> list[Process]:
    return [process for process in system.processes if process.name.startswith(target)]


async def _postgres_down(system: System, fault: Fault) -> None:
    for database in system.databases.values():
        database.crash()
    await pass_time(fault.lasts)
    for database in system.databases.values():
        database.start()


async def _drop_slot(system: System, fault: Fault) -> None:
    system.databases[fault.target].slot_exists = False


async def _kafka_down(system: System, fault: Fault) -> None:
    system.broker.up = False
    await pass_time(fault.lasts)
    system.broker.up = True


async def _kafka_wiped(system: System, fault: Fault) -> None:
    """With Connect's offsets; it is down for a while, or not at all."""
    system.broker.wipe()
    await _kafka_down(system, fault)


async def _nats_down(system: System, fault: Fault) -> None:
    system.nats.crash()
    await pass_time(fault.lasts)
    system.nats.start()


async def _nats_wiped(system: System, fault: Fault) -> None:
    system.nats.crash()
    system.nats.wipe()
    await _nats_down(system, fault)


async def _stream_deleted(system: System, fault: Fault) -> None:
    system.nats.delete_stream(EVENTS)


async def _tail_lost(system: System, fault: Fault) -> None:
    system.nats.crash()
    system.nats.lose_tail(EVENTS, fault.amount)
    await _nats_down(system, fault)


async def _consumer_deleted(system: System, fault: Fault) -> None:
    for name in _durables(system, fault.target):
        system.nats.delete_durable(EVENTS, name)


def _durables(system: System, service: str) -> list[str]:
    """A service's consumers; the history has one for each generation of the view."""
    stream = system.nats.streams.get(EVENTS)
    return [name for name in stream.durables if name.startswith(service)] if stream else []


async def _redelivery(system: System, fault: Fault) -> None:
    """As if the ack wait were shorter than a transaction: both instances receive the same messages."""
    over = system.world.now + fault.lasts
    while True:
        for name in _durables(system, fault.target):
            system.nats.expire_pending(name)
        if system.world.now >= over:
            return
        await pass_time(REDELIVERY_SECONDS)


async def _connection_cut(system: System, fault: Fault) -> None:
    for client in system.nats.clients_of(fault.target):
        client.cut()


async def _mongo_down(system: System, fault: Fault) -> None:
    system.mongo.up = False
    await pass_time(fault.lasts)
    system.mongo.up = True


async def _mongo_wiped(system: System, fault: Fault) -> None:
    system.mongo.wipe()
    await _mongo_down(system, fault)


async def _view_rebuilt(system: System, fault: Fault) -> None:
    """As `./saga rebuild-view` does, and again when the rebuild is done."""
    over = system.world.now + fault.lasts
    while True:
        if system.mongo.up:
            system.mongo.begin()
        if system.world.now >= over:
            return
        await pass_time(REDELIVERY_SECONDS)


async def _slow(system: System, fault: Fault) -> None:
    system.world.slowness = SLOWNESS
    await pass_time(fault.lasts)
    system.world.slowness = 1.0


FAULTS: dict[str, Callable[[System, Fault], Any]] = {
    "kill": _kill,
    "stop": _stop,
    "postgres down": _postgres_down,
    "slot dropped": _drop_slot,
    "kafka down": _kafka_down,
    "kafka wiped": _kafka_wiped,
    "nats down": _nats_down,
    "nats wiped": _nats_wiped,
    "stream deleted": _stream_deleted,
    "tail lost": _tail_lost,
    "consumer deleted": _consumer_deleted,
    "redelivery": _redelivery,
    "connection cut": _connection_cut,
    "mongo down": _mongo_down,
    "mongo wiped": _mongo_wiped,
    "view rebuilt": _view_rebuilt,
    "slow": _slow,
}

PROCESSES = ("customer", "order", "history", "bridge", "connect")
TARGETS: dict[str, tuple[str, ...]] = {
    "kill": PROCESSES,
    "stop": ("customer", "order", "history", "bridge"),
    "slot dropped": DATABASES,
    "consumer deleted": CONSUMERS,
    "redelivery": CONSUMERS,
    "connection cut": ("customer", "order", "history", "bridge"),
}
OFTEN = ("kill", "kill", "kill", "connection cut", "redelivery", "view rebuilt")


def draw(rng: random.Random, actions: Sequence[Action]) -> tuple[Fault, ...]:
    """Up to eight faults of a few kinds, so that some runs have many of one kind.

    Each follows an action closely: a fault while nothing happens strikes nothing.
    """
    kinds = rng.sample([*FAULTS, *OFTEN], rng.randint(1, 4))
    times = [action.at for action in actions]
    return tuple(_draw_one(rng, rng.choice(kinds), times) for _ in range(rng.randint(0, 8)))


def _draw_one(rng: random.Random, kind: str, times: Sequence[float]) -> Fault:
    target = rng.choice(TARGETS.get(kind, ("",)))
    if kind in ("kill", "stop") and rng.random() < 0.7:
        target += f"-{rng.randint(1, 2)}"
    at = round(rng.choice(times) + rng.choice(AFTER_SECONDS) * rng.random(), 4)
    longest = rng.choice((1.0, LONGEST_SECONDS) if kind == "stop" else (0.0, 0.1, 1.0, LONGEST_SECONDS))
    lasts = round(longest * rng.random(), 3)
    return Fault(at, kind, target, lasts, rng.randint(1, 20))
