"""Linger: how long a batcher waits before it begins the next batch.

A batch has a fixed cost, whatever its size: wake-ups, round trips, a flush to disk, and the same again downstream.
Under a steady flow a short wait makes batches larger, so each item costs less. Kafka's `linger.ms` does the same for a
producer; this linger follows the size and the duration of the batch before.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Linger:
    """The time from the beginning of one batch to the beginning of the next: the smallest of three limits.

    Attributes:
        per_item: seconds for each item of the batch before. Small batches add little delay.
        multiple: this many times the duration of the batch before. A slower machine lingers longer.
        longest: seconds.
        full_batch: after a batch of this many items the next one begins at once: a larger batch would save nothing.
    """

    per_item: float
    multiple: float
    longest: float
    full_batch: int

    def pause(self, items: int, duration: float) -> float:
        """Seconds left to wait after a batch of `items` items that took `duration` seconds."""
        if items >= self.full_batch:
            return 0.0
        return max(0.0, min(items * self.per_item, duration * self.multiple, self.longest) - duration)
