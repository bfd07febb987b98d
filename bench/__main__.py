"""python -m bench throughput --name main --seconds 20: one part against a stack that runs."""

import argparse
import sys

import uvloop

from bench import table, throughput
from bench.rig import open_rig
from infra.native import Stack

CUSTOMERS = 50


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", choices=("throughput",))
    parser.add_argument("--name", required=True, help="the stack, which runs")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help="1: all orders for one customer")
    parser.add_argument("--bound", type=int, default=throughput.BOUND, help="most orders under way")
    parser.add_argument("--runs", type=int, default=1)
    return parser.parse_args()


async def measure(options: argparse.Namespace) -> None:
    async with open_rig(Stack.load(options.name)) as rig:
        customers = await rig.create_customers(options.customers)
        runs = [
            await throughput.sustained(rig, customers, options.seconds, options.connections, options.bound)
            for _ in range(options.runs)
        ]
        print(table.render(throughput.section("Throughput", runs)))


if __name__ == "__main__":
    sys.exit(uvloop.run(measure(arguments())))
