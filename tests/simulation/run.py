"""One run: a plan from its start to its end, or to the first invariant that does not hold. README.md explains it."""

import asyncio
import logging
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.simulation import nemesis, workload
from tests.simulation.clock import VirtualLoop, pass_time
from tests.simulation.ledger import broken_promises
from tests.simulation.plan import Plan
from tests.simulation.process import current_life, task_factory
from tests.simulation.system import System
from tests.simulation.world import Crashed, Violation, World

CONVERGENCE_SECONDS = 120.0
"""Of virtual time, from the end of the last fault on."""
LOOK_SECONDS = 0.5
LOGGED = ("messaging", "runtime", "services", "storage", "web")
BUSY_SECONDS = (0.3, 2.0, 8.0)
WINDOWS = (0.0, 0.5, 5.0, 120.0)
DEADLINES = (1, 2, 900, 900, 900, 900)


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended: `violation` is None if everything held."""

    violation: str | None
    strikes: Counter[str]
    trace: list[str]
    seconds: float


def draw_plan(seed: int) -> Plan:
    """The plan of a seed: sizes, actions and faults."""
    rng = random.Random(seed)
    seconds = rng.choice(BUSY_SECONDS)
    actions = workload.draw(rng, seconds)
    return Plan(
        seed=seed,
        instances=rng.randint(1, 2),
        partitions=rng.randint(1, 3),
        duplicate_window=rng.choice(WINDOWS),
        deadline=rng.choice(DEADLINES),
        actions=actions,
        faults=nemesis.draw(rng, actions),
    )


def run(plan: Plan, traced: bool = False) -> Result:
    """Runs a plan; the same plan always runs the same."""
    random.seed(plan.seed)  # the library that waits between retries draws its jitter from here
    loop = VirtualLoop(task_factory)
    return loop.run(_run(plan, traced))


async def _run(plan: Plan, traced: bool) -> Result:
    loop = asyncio.get_running_loop()
    world = World(plan.seed, traced)
    loop.set_exception_handler(lambda _, context: _on_unhandled(world, context.get("exception")))
    system = System(plan, world)
    with _Log(world):
        schedule = loop.create_task(_run_schedule(system))
        either: list[asyncio.Future[Any]] = [schedule, world.violated]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        violation = _violation(schedule, world)
        seconds = loop.time()
        await _end(system)
    return Result(violation, world.strikes, world.lines, seconds)


async def _run_schedule(system: System) -> None:
    """Actions and faults, and then no more faults until all stores agree."""
    system.start()
    loop = asyncio.get_running_loop()
    faults = [loop.create_task(nemesis.strike(system, fault)) for fault in system.plan.faults]
    acting = loop.create_task(system.clients.act(system.plan.actions))
    for fault in faults:
        await fault
    system.start()
    system.world.note("nemesis", "no more faults")
    deadline = loop.time() + CONVERGENCE_SECONDS
    while not acting.done() or list(system.invariants.differences()):
        if loop.time() > deadline:
            _give_up(system, acting.done())
        await pass_time(LOOK_SECONDS)
    await acting
    for broken in broken_promises(system.clients.ledger, system.plan, system.databases):
        raise Violation(broken)


def _give_up(system: System, answered: bool) -> None:
    differences = list(system.invariants.differences())
    if not answered:
        differences.append("a client has no answer")
    raise Violation(f"no convergence in {CONVERGENCE_SECONDS:.0f} s: " + "; ".join(differences))


def _violation(schedule: "asyncio.Task[None]", world: World) -> str | None:
    if world.violated.done():
        return str(world.violated.exception())
    error = schedule.exception()
    if error is not None and not isinstance(error, Violation):
        raise error
    return str(error) if error else None


async def _end(system: System) -> None:
    system.world.traced = False
    for process in system.processes:
        process.kill()
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    if not system.world.violated.done():
        system.world.violated.cancel()


def _on_unhandled(world: World, error: BaseException | None) -> None:
    """An error in a task or callback that no task awaits."""
    if error is not None and not isinstance(error, Crashed | Violation):
        world.violate(f"unhandled: {error!r}")


class _Log(logging.Handler):
    """Puts the program's log into the trace, under the name of the process that logs."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.INFO)
        self._world = world
        self._disabled = logging.root.manager.disable

    def __enter__(self) -> None:
        if not self._world.traced:
            logging.disable()
            return
        logging.disable(logging.NOTSET)
        for name in LOGGED:
            logger = logging.getLogger(name)
            logger.addHandler(self)
            logger.setLevel(logging.INFO)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._disabled)
        for name in LOGGED:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        life = current_life()
        self._world.note(life.name if life else "simulation", "%s", record.getMessage())
