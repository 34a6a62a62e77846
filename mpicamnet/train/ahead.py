"""Work ahead: threads make the next items while the last one is used, a bounded number of them."""
from __future__ import annotations

import collections
import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")


class _End:
    """The last thing in the queue: `error` is what ended the items early."""

    def __init__(self, error: Exception | None):
        self.error = error


class _Ahead(Generic[T]):
    def __init__(self, items: Iterable[T], depth: int):
        self._queue: queue.Queue[T | _End] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(items,), daemon=True)
        self._thread.start()

    def _fill(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    return
        except Exception as e:  # raised where the item is asked for
            self._put(_End(e))
        else:
            self._put(_End(None))
        finally:
            if isinstance(items, Generator):
                items.close()  # threads of its own end before this one does

    def _put(self, item: T | _End) -> bool:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.1)
                return True
        return False

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@contextlib.contextmanager
def ahead(items: Iterable[T], depth: int = 4) -> Generator[Iterator[T], None, None]:
    """The items, made by a thread that is at most `depth` items ahead; an error in making one is raised where it is asked for.

    On leaving, the thread ends, whether all items were taken or not.
    """
    made = _Ahead(items, depth)
    try:
        yield iter(made)
    finally:
        made.close()


def in_parallel(function: Callable[[S], T], items: Iterable[S], threads: int) -> Generator[T, None, None]:
    """function(item) of each item, in their order, made by as many threads; at most one more than these is made before it is asked for."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: collections.deque[Future[T]] = collections.deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
