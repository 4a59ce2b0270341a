"""What a person sees of the speaking, and how it is stopped."""

import threading


class SpeechObserver:
    """Sees how many narrations are to be spoken, and may stop that. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: list[threading.Event] = []
        self._is_stopped = False
        self._to_speak = 0
        self._spoken = 0

    @property
    def progress(self) -> tuple[int, int]:
        """How many narrations are spoken, and how many are to be; none of those that were there before."""
        with self._lock:
            return self._spoken, self._to_speak

    def expect(self, count: int) -> threading.Event:
        """Note that so many more narrations are to be spoken; return an event that ends what takes long, once set."""
        stop = threading.Event()
        with self._lock:
            self._to_speak += count
            self._stops.append(stop)
            if self._is_stopped:
                stop.set()
        return stop

    def count(self) -> None:
        """Note that one of them was spoken, or cannot be."""
        with self._lock:
            self._spoken += 1

    def stop(self) -> None:
        """Let nothing more be spoken, now or later."""
        with self._lock:
            self._is_stopped = True
            for stop in self._stops:
                stop.set()
