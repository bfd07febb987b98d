"""How soon one batch may follow another.

A batch costs the same for one item as for many: the wake-ups and round trips, the flush to disk, and what its commit
sets off downstream. Whoever begins the next batch the moment the last one ended has small ones while there is time,
and takes the processor from everybody else. With a rest in between, the items of a steady flow travel in company.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """From the beginning of one batch to that of the next, at least the smallest of these.

    Attributes:
        for_each: seconds for each item of the first batch. So a lone item hardly holds the next one up.
        times: so many times what the first batch took. So the pace slows down as the machine does.
        longest: seconds.
        enough: after a batch of so many items the next one begins at once; waiting for more would spare nothing.
    """

    for_each: float
    times: float
    longest: float
    enough: int

    def rest(self, items: int, took: float) -> float:
        """Seconds to wait yet, after a batch of so many items that took so many seconds."""
        if items >= self.enough:
            return 0.0
        return max(0.0, min(items * self.for_each, took * self.times, self.longest) - took)
