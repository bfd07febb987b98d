"""./saga, as the operator of a stack runs it."""

from dataclasses import dataclass

from click.testing import CliRunner, Result

from infra.native import Stack
from operations.__main__ import saga


@dataclass(frozen=True)
class Operator:
    """Runs commands on one stack."""

    stack: Stack

    def run(self, *arguments: str) -> Result:
        """One command, whether it succeeds or not; it must not end with a traceback."""
        result = CliRunner().invoke(saga, ["--name", self.stack.name, *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise AssertionError(f"./saga {' '.join(arguments)} raised an error") from result.exception
        return result

    def succeed(self, *arguments: str) -> str:
        """What a command prints that must succeed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def fail(self, *arguments: str) -> str:
        """What a command prints that must fail."""
        result = self.run(*arguments)
        assert result.exit_code == 1, result.output
        return result.output
