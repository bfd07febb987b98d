"""The benchmark.

Without --name it starts a stack of its own, warms it up, measures, and deletes it; with --name it measures a stack that
runs, and leaves it, with some more orders in it. `python -m bench throughput --name main` looks at one thing only.
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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of each: two minutes in all")
    parser.add_argument("--only", default="", help=f"some of {','.join((START, *PARTS))}")
    parser.add_argument("--name", default="", help="a stack that runs")
    commands = parser.add_subparsers(dest="command")
    one = commands.add_parser("throughput", help="the highest rate that a running stack sustains")
    one.add_argument("--name", required=True, help="the stack, which runs")
    one.add_argument("--seconds", type=float, default=20.0)
    one.add_argument("--connections", type=int, default=throughput.CONNECTIONS)
    one.add_argument("--customers", type=int, default=CUSTOMERS, help="1: all orders for one customer")
    one.add_argument("--bound", type=int, default=throughput.BOUND, help="most orders under way")
    one.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    options.parts = options.only.split(",") if options.only else [*([] if options.name else [START]), *PARTS]
    unknown = set(options.parts) - {START, *PARTS}
    if unknown:
        parser.error(f"--only: there is no part {', '.join(sorted(unknown))}")
    if options.name and START in options.parts:
        parser.error(f"--name: a stack that runs is left running; {START} needs one of its own")
    return options


def main() -> None:
    options = arguments()
    # The generator must not pause: what is there now is not looked at again.
    gc.collect()
    gc.freeze()
    if options.command == "throughput":
        uvloop.run(one_throughput(options))
        return
    plan = QUICK if options.quick else FULL
    if options.name:
        uvloop.run(measure(Stack.load(options.name), plan, options.parts, []))
    else:
        with_own_stack(plan, options.parts)


def with_own_stack(plan: Plan, parts: list[str]) -> None:
    stack = Stack.load(OWN_STACK)
    try:
        say("starting a stack from nothing")
        sections = [start.measure(stack, plan.starts if START in parts else 1)]
        uvloop.run(measure(stack, plan, parts, sections))
    finally:
        stack.reset()


async def measure(stack: Stack, plan: Plan, parts: list[str], sections: list[Section]) -> None:
    """Adds a section or more for each part, and writes the report after each."""
    about = machine.describe()
    async with open_rig(stack) as rig, open_kafka_log(rig.settings) as log:
        checked = await guarantees.check(stack)
        kept = {name: checked[name] for name in guarantees.DURABILITY}
        bench = Bench(rig, log, await rig.create_customers(CUSTOMERS), plan)
        say("warming up")
        rates = await throughput.warm_up(rig, bench.customers, *plan.warm_up)
        about["warm-up"] = ", ".join(f"{rate:.0f}" for rate in rates) + " orders/s"
        report.write(BUILD, about, kept, sections)
        for name, part in PARTS.items():
            if name in parts:
                say(f"measuring {name}")
                async for section in part(bench):
                    print(f"\n{table.render(section)}\n", flush=True)
                    sections.append(section)
                    report.write(BUILD, about, kept, sections)
    print(report.as_markdown(about, kept, sections))
    print(f"{BUILD / 'bench.json'}, bench.md, bench-*.png")


async def one_throughput(options: argparse.Namespace) -> None:
    async with open_rig(Stack.load(options.name)) as rig:
        customers = await rig.create_customers(options.customers)
        runs = [
            await throughput.sustained(rig, customers, options.seconds, options.connections, options.bound)
            for _ in range(options.runs)
        ]
        print(table.render(throughput.section("Throughput", runs)))


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


if __name__ == "__main__":
    main()
