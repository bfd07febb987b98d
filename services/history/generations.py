"""Which generations of the view there are, and when one that is being built may take the live one's place.

Pure. The second is two questions, for the answer to is_level costs the live generation a moment's standstill.
"""

from dataclasses import dataclass

from messaging.progress import Progress


@dataclass(frozen=True, slots=True)
class Generations:
    """Which generations of the view count; whatever else is stored is left over.

    Attributes:
        live: the one that is read; None until a first one is complete.
        building: the one that will be live when it has caught up.
        live_for: seconds since `live` became it, by MongoDB's clock.
    """

    live: str | None = None
    building: str | None = None
    live_for: float = 0.0

    @property
    def wanted(self) -> list[str]:
        return [name for name in (self.live, self.building) if name]


def has_caught_up(building: Progress, end_before: int | None) -> bool:
    """Whether it has all that was in the stream at the look before.

    It need not have all that is in it by now, or a steady flow of events would put the swap off for ever.

    Args:
        building: its consumer.
        end_before: the stream's last sequence at the look before; None if there was none.
    """
    return building.left == 0 or (end_before is not None and building.acknowledged >= end_before)


def is_level(building: Progress, live: Progress) -> bool:
    """Whether it has all that the live generation's readers can have seen.

    Args:
        live: its consumer, that hands out nothing at present.
    """
    return building.left == 0 or building.acknowledged >= live.delivered
