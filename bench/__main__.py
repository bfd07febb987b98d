"""The benchmark.

Without --name it starts a stack of its own, warms it up, measures it and deletes it. With --name it measures a stack
that is running; the orders that it places stay there. `python -m bench throughput --name main` measures the throughput
only.
"""

import argparse
import gc
import time
from pathlib import Path

import uvloop

from bench import machine, report, start, table, throughput
from bench.figures import Section
from bench.kafka_log import open_kafka_log
from bench.parts import CUSTOMERS, FULL, PARTS, QUICK, Bench, Plan
from bench.rig import open_rig
from infra import guarantees
from infra.native import Stack

BUILD = Path(__file__).resolve().parents[1] / "build"
OWN_STACK = "bench"
START = "start"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of each part, about three minutes in all")
    parser.add_argument(
        "--only", default="", help=f"the parts to measure, separated by commas; all are {','.join((START, *PARTS))}"
    )
    parser.add_argument("--name", default="", help="measure a stack that is running")
    commands = parser.add_subparsers(dest="command")
    single = commands.add_parser("throughput", help="the highest rate that a running stack sustains")
    single.add_argument("--name", required=True, help="the running stack")
    single.add_argument("--seconds", type=float, default=20.0)
    single.add_argument("--connections", type=int, default=throughput.CONNECTIONS)
    single.add_argument("--customers", type=int, default=CUSTOMERS, help="how many; 1: all orders for one customer")
    single.add_argument("--max-in-flight", type=int, default=throughput.MAX_IN_FLIGHT, help="orders")
    single.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    options.parts = options.only.split(",") if options.only else [*([] if options.name else [START]), *PARTS]
    unknown = set(options.parts) - {START, *PARTS}
    if unknown:
        parser.error(f"--only: unknown part {', '.join(sorted(unknown))}")
    if options.name and START in options.parts:
        parser.error(f"--name: the part {START} starts a stack of its own, so it cannot measure a running one")
    return options


def main() -> None:
    options = parse_arguments()
    # Shorter garbage collections in the load generator: objects that exist now are not scanned again.
    gc.collect()
    gc.freeze()
    if options.command == "throughput":
        uvloop.run(measure_throughput(options))
        return
    plan = QUICK if options.quick else FULL
    if options.name:
        uvloop.run(measure(Stack.load(options.name), plan, options.parts, []))
    else:
        measure_own_stack(plan, options.parts)


def measure_own_stack(plan: Plan, parts: list[str]) -> None:
    stack = Stack.load(OWN_STACK)
    try:
        log_progress("starting a stack without data")
        sections = [start.measure(stack, plan.starts if START in parts else 1)]
        uvloop.run(measure(stack, plan, parts, sections))
    finally:
        stack.reset()


async def measure(stack: Stack, plan: Plan, parts: list[str], sections: list[Section]) -> None:
    """Warms the stack up and measures the parts. The report is written after each section."""
    description = machine.describe()
    async with open_rig(stack) as rig, open_kafka_log(rig.settings) as log:
        checked = await guarantees.check(stack)
        durability = {name: checked[name] for name in guarantees.DURABILITY}
        bench = Bench(rig, log, await rig.create_customers(CUSTOMERS), plan)
        log_progress("warming up")
        rates = await throughput.warm_up(rig, bench.customers, *plan.warm_up)
        description["warm-up"] = ", ".join(f"{rate:.0f}" for rate in rates) + " orders/s"
        report.write(BUILD, description, durability, sections)
        for name, part in PARTS.items():
            if name in parts:
                log_progress(f"measuring {name}")
                async for section in part(bench):
                    print(f"\n{table.render(section)}\n", flush=True)
                    sections.append(section)
                    report.write(BUILD, description, durability, sections)
    print(report.as_markdown(description, durability, sections))
    print(f"{BUILD / 'bench.json'}, bench.md, bench-*.png")


async def measure_throughput(options: argparse.Namespace) -> None:
    async with open_rig(Stack.load(options.name)) as rig:
        customers = await rig.create_customers(options.customers)
        runs = [
            await throughput.measure(rig, customers, options.seconds, options.connections, options.max_in_flight)
            for _ in range(options.runs)
        ]
        print(table.render(throughput.section("Throughput", runs)))


def log_progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


if __name__ == "__main__":
    main()
