"""Which generations of the view count, and when one that is being built may replace the live one.

Pure. The second decision has two steps, because is_level needs the live generation to be paused for a moment.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Generations:
    """Which generations of the view count; all others are to be dropped.

    Attributes:
        live: the generation that is read; None until the first one is complete.
        building: the generation that becomes live when it has caught up.
        live_for: seconds since the last swap, by MongoDB's clock.
    """

    live: str | None = None
    building: str | None = None
    live_for: float = 0.0

    @property
    def wanted(self) -> list[str]:
        return [name for name in (self.live, self.building) if name]


def has_caught_up(left: int, acknowledged: int, end_before: int | None) -> bool:
    """Whether the new generation has everything that was in the stream at the look before.

    It need not have what came after that: a steady flow of events would delay the swap without end.

    Args:
        left: how many messages its consumer has not acknowledged yet.
        acknowledged: the sequence up to which its consumer has acknowledged all messages.
        end_before: the stream's last sequence at the look before; None if there was none.
    """
    return left == 0 or (end_before is not None and acknowledged >= end_before)


def is_level(left: int, acknowledged: int, delivered_live: int) -> bool:
    """Whether the new generation has everything that readers of the live one can have seen.

    Args:
        left, acknowledged: as above.
        delivered_live: the last sequence that the live generation's consumer was handed; that consumer is paused.
    """
    return left == 0 or acknowledged >= delivered_live
