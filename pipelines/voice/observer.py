"""What a person sees of the speaking, and how it is stopped."""

import contextlib
import threading
from collections.abc import Iterator


class SpeechObserver:
    """Sees how many narrations are to be spoken, and may stop that. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._to_speak = 0
        self._spoken = 0

    @property
    def progress(self) -> tuple[int, int]:
        """How many narrations are spoken, and how many are to be; none of those that were there before."""
        with self._lock:
            return self._spoken, self._to_speak

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be spoken."""
        return self._stopped.is_set()

    def expect(self, count: int) -> None:
        """Note that so many more narrations are to be spoken."""
        with self._lock:
            self._to_speak += count

    def count(self) -> None:
        """Note that one of them was spoken, or cannot be."""
        with self._lock:
            self._spoken += 1

    def stop(self) -> None:
        """Let nothing more be spoken: what is being spoken is the last."""
        self._stopped.set()

    @contextlib.contextmanager
    def stopped_by_interruption(self) -> Iterator[None]:
        """Stop where Ctrl-C ends the block."""
        try:
            yield
        except KeyboardInterrupt:
            self.stop()
            raise
