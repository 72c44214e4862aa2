"""How much memory there is, read from files as Linux has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_durable.machine import cache_bytes, memory_bytes

GB = 1024**3
MB = 1024**2
UNLIMITED_V1 = 9223372036854771712


def machine(root: Path, groups: str, limits: dict[str, str | int], gigabytes: int = 16) -> Path:
    """Write what a machine of this memory says of its control groups."""
    files = {"proc/meminfo": f"MemTotal:       {gigabytes * GB // 1024} kB\nMemFree: 1 kB\n"}
    files |= {"proc/self/cgroup": groups} | {f"sys/fs/cgroup/{at}": f"{x}\n" for at, x in limits.items()}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        pytest.param("", {}, 16 * GB, id="no groups"),
        pytest.param("0::/\n", {"memory.max": 2 * GB}, 2 * GB, id="a container, version 2"),
        pytest.param("0::/\n", {"memory.max": "max"}, 16 * GB, id="no limit, version 2"),
        pytest.param(
            "0::/system.slice/a.service\n",
            {"system.slice/a.service/memory.max": "max", "system.slice/memory.max": 4 * GB},
            4 * GB,
            id="a group above is limited",
        ),
        pytest.param(
            "5:cpu:/c\n4:memory:/docker/ab\n0::/\n",
            {"memory/docker/ab/memory.limit_in_bytes": GB, "memory/memory.limit_in_bytes": UNLIMITED_V1},
            GB,
            id="version 1, seen from the machine",
        ),
        pytest.param(
            "4:memory:/docker/ab\n",
            {"memory/memory.limit_in_bytes": 3 * GB},
            3 * GB,
            id="version 1, the container's group is its root",
        ),
        pytest.param(
            "4:memory:/\n", {"memory/memory.limit_in_bytes": UNLIMITED_V1}, 16 * GB, id="no limit, version 1"
        ),
        pytest.param("0::/\n", {"memory.max": 64 * GB}, 16 * GB, id="a limit above what there is"),
    ],
)
def test_memory_is_what_groups_allow_else_what_the_machine_has(
    tmp_path: Path, groups: str, limits: dict[str, str | int], expected: int
) -> None:
    assert memory_bytes(machine(tmp_path, groups, limits)) == expected


@pytest.mark.parametrize(
    ("limit", "expected"), [(256 * MB, 64 * MB), (2 * GB, 256 * MB), (8 * GB, GB), (15 * GB, GB)]
)
def test_a_cache_is_an_eighth_within_bounds(tmp_path: Path, limit: int, expected: int) -> None:
    assert cache_bytes(machine(tmp_path, "0::/\n", {"memory.max": limit})) == expected


def test_a_machine_that_has_none_of_these_files_is_asked_itself(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path) > 64 * MB
