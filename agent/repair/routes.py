"""What is tried for each kind of failure, in this order: one plain table.

A few moves are begun together, and the most promising is finished (see `agent.repair.repairs`). More grounding costs
the most evaluations of the UNet, so it comes late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from agent.planners.plan import Plan
from agent.repair import moves
from agent.repair.failures import Failure, FailureKind

Make: TypeAlias = Callable[[Plan, Failure], Plan | None]


class Move(NamedTuple):
    """One thing that can be done about a failure.

    Attributes:
        name: what a person reads, and what a run remembers as tried.
        make: the plan after it, None where it would change nothing.
        paints: False where the picture stays as it is, and the plan alone changes.
        changes_plan: True where what is planned is another afterwards; a layout that somebody gave stays as it is.
    """

    name: str
    make: Make
    paints: bool = True
    changes_plan: bool = True


PAINT_AGAIN = Move("painted again from other noise", moves.paint_again, changes_plan=False)
GROUND_MORE = Move("grounded in all steps, and denoised on its own", moves.ground_more, changes_plan=False)
PLAINLY = Move("described plainly", moves.say_plainly)
COLOUR_FIRST = Move("its colour said first, and again", moves.say_the_colour_first)
LARGER = Move("larger, or of a more usual shape", moves.make_larger)
PLACE_ANEW = Move("planned anew in another place", moves.place_anew)
TO_FRONT = Move("brought to the front", moves.bring_to_front)
FOLLOW = Move("the plan moves to where it is", moves.follow, paints=False)
ERASE = Move("painted over, with nothing planned there", moves.erase, changes_plan=False)

ROUTES: dict[FailureKind, tuple[Move, ...]] = {
    FailureKind.MISSING: (PAINT_AGAIN, PLAINLY, LARGER, GROUND_MORE, PLACE_ANEW),
    FailureKind.HIDDEN: (TO_FRONT, LARGER, PLACE_ANEW, PAINT_AGAIN, PLAINLY),
    FailureKind.MISPLACED: (FOLLOW, PAINT_AGAIN, PLAINLY, LARGER, GROUND_MORE, PLACE_ANEW),
    FailureKind.WRONG_ATTRIBUTE: (COLOUR_FIRST, PAINT_AGAIN, LARGER, GROUND_MORE),
    FailureKind.EXTRA: (ERASE, PAINT_AGAIN),
}
