"""Long work that lets others come in between: whoever takes a whole store in shares a core with those who answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

AT_A_TIME: Final = 32
LONGEST: Final = 0.01
"""Seconds of one rest, however long the disk took."""
T = TypeVar("T")


def unhurried(
    items: Iterable[T],
    *,
    at_a_time: int = AT_A_TIME,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[T]:
    """The items as they are, with a rest after every few: as long as those took, whoever works on them included."""
    items = iter(items)
    while True:
        began = clock()
        some = list(islice(items, at_a_time))
        if not some:
            return
        yield from some
        sleep(min(clock() - began, LONGEST))
