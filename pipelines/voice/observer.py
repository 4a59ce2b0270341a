"""What a person sees of the speaking, and how it is stopped."""

from threading import Event, Lock


class SpeechObserver:
    """Sees how many narrations are to be spoken, and may stop that. For several threads.

    Attributes:
        stopping: set once nothing more is to be spoken, and what is being spoken is to end.
    """

    def __init__(self) -> None:
        self.stopping = Event()
        self._lock = Lock()
        self._to_speak = 0
        self._spoken = 0

    @property
    def progress(self) -> tuple[int, int]:
        """How many narrations are spoken, and how many are to be; none of those that were there before."""
        with self._lock:
            return self._spoken, self._to_speak

    def expect(self, count: int) -> None:
        """Note that so many more narrations are to be spoken."""
        with self._lock:
            self._to_speak += count

    def count(self) -> None:
        """Note that one of them was spoken, or cannot be."""
        with self._lock:
            self._spoken += 1

    def stop(self) -> None:
        """Let nothing more be spoken."""
        self.stopping.set()
