"""The stack as local processes, with the engines, configuration files and variable names of infra/compose.yaml.

from infra.native import Stack
stack = Stack.load("main")
stack.up()
stack.port("order"), stack.environment("order"), stack.pid("order")
stack.signal("order", signal.SIGKILL)
stack.wait_ready("order")
stack.down()
"""

from infra.native.stack import Stack

__all__ = ["Stack"]
