"""How much the tests try, in one place: what finds a defect in `make test`, more in `make test-thorough`."""

import os

IS_THOROUGH = os.environ.get("THOROUGH", "0") != "0"


def _of(usual: int, thorough: int) -> int:
    return thorough if IS_THOROUGH else usual


#: Seeds of the simulator, where everything goes wrong and where nothing does, and how many one test takes.
SEEDS_WITH_FAULTS = _of(64, 320)
SEEDS_WITHOUT_FAULTS = _of(16, 80)
SEEDS_OF_A_TEST = _of(8, 20)
#: Seeds of each class of interleavings by itself.
SEEDS_OF_A_CLASS = _of(6, 40)
#: Examples of each law.
EXAMPLES = _of(20, 50)
#: Schedules of which each moment of a year is compared.
SCHEDULES = _of(200, 1_000)
#: Runs under load while processes are killed, and how many are started in a second.
RUNS_UNDER_LOAD = _of(800, 2_000)
RUNS_A_SECOND = _of(50, 250)
#: Runs that wait while processes are killed; 5,000 is what a release is held to.
RUNS_THAT_WAIT = int(os.environ.get("KILL_TEST_WAITING_RUNS", _of(300, 500)))
#: Damaged records on each topic, and how many before each look at the instance.
DAMAGED_RECORDS, DAMAGED_IN_A_WAVE = _of(800, 1_600), _of(200, 400)
#: Timers of one partition when it is taken over, and those that are due in one second.
TIMERS_AHEAD, TIMERS_AT_ONCE = _of(200_000, 1_000_000), _of(20_000, 100_000)
#: Consumers of the live changes of the API, in the benchmark.
WATCHERS = _of(100, 1_000)
