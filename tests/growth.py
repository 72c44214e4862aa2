"""Whether work grows as what it is given does: a law that holds on a slow machine and on a busy one."""

import gc
import time
from collections.abc import Callable

#: Ten times as much costs ten times as much, give or take what a busy machine does to either; a pair of each
#: with each would cost a hundred times as much.
_TEN_TIMES = 40
_MEASURED = 3


def grows_with(work: Callable[[int], Callable[[], object]], count: int) -> bool:
    """Return whether work on `count` things costs no more than in proportion to work on a tenth of them.

    `work` prepares what is to be measured, and is called for each measurement.
    """
    little = min(_cpu(work(count // 10)) for _ in range(_MEASURED))
    much = (_cpu(work(count)) for _ in range(_MEASURED))
    # Other work makes a measurement longer and never shorter.
    return any(seconds < _TEN_TIMES * little for seconds in much)


def _cpu(work: Callable[[], object]) -> float:
    """Return the seconds that this thread computes, without what the collector does about other tests."""
    gc.disable()
    try:
        begun = time.thread_time()
        work()
        return time.thread_time() - begun
    finally:
        gc.enable()
