"""What of a sound file's sound is missing: what was decoded, by its own times, against what its header states."""

from dataclasses import dataclass, field
from fractions import Fraction

from pipelines.film.sound_containers import Clock

# The clocks of films count in milliseconds, and samples are rounded to the rate at which they are counted.
_JITTER_S = Fraction(1, 100)
# A frame of MP3 or AAC: a tag among the sound is skipped as if it were one, and takes no sound away.
_FRAME_S = Fraction(1, 10)
# Headers are rounded to hundredths, and some count what encoders add at both ends.
_HEADER_TOLERANCE_S = Fraction(1, 20)
# As much of a sound, and it is not used any more.
_TOO_MUCH = Fraction(1, 10)


@dataclass(frozen=True, slots=True)
class Loss:
    """Sound that is missing.

    Attributes:
        length_s: of all of it.
        places_s: where it should be heard, in seconds from the file's beginning, in order.
    """

    length_s: Fraction = Fraction(0)
    places_s: tuple[Fraction, ...] = ()

    def is_too_much(self, decoded_s: Fraction) -> bool:
        """Say whether this is a tenth or more of a sound of which `decoded_s` seconds are there."""
        return self.length_s > 0 and self.length_s >= _TOO_MUCH * (decoded_s + self.length_s)


@dataclass(slots=True)
class SampleClock:
    """Counts decoded sound, and notes where times jump ahead.

    Attributes:
        rate_hz: in which it counts.
        decoded: samples so far.
        end: the time at which the last of them ends.
        gaps: jumps, each by its time and its length, in samples.
    """

    rate_hz: int
    decoded: int = 0
    end: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def add(self, start: int, length: int) -> None:
        """Count the samples of a piece of sound, `length` from the time `start` on."""
        # Not where times go back: there another sound begins that was joined to the first.
        if start - self.end > _JITTER_S * self.rate_hz:
            self.gaps.append((self.end, start - self.end))
        self.end = start + length
        self.decoded += length

    @property
    def decoded_s(self) -> Fraction:
        """Return how long the sound is that was decoded."""
        return Fraction(self.decoded, self.rate_hz)

    def seconds(self, samples: int) -> Fraction:
        """Return a number of samples as time."""
        return Fraction(samples, self.rate_hz)


def find_loss(clock: SampleClock, kind: Clock, *, stated_s: Fraction | None, complained: bool) -> Loss:
    """Return what is missing of a sound.

    Args:
        clock: what was decoded.
        kind: what the file's times say.
        stated_s: how long it should be; None where nothing states it.
        complained: ffmpeg met errors as it read the file.
    """
    gaps = [(clock.seconds(start), clock.seconds(length)) for start, length in clock.gaps]
    if kind is Clock.NONE:
        return _loss_by_length(clock, gaps, stated_s)
    if kind is Clock.LOOSE and not complained:
        gaps = []
    end_s = clock.seconds(clock.end)
    if stated_s and stated_s - end_s > _HEADER_TOLERANCE_S:
        gaps.append((end_s, stated_s - end_s))
    return _sum(gaps)


def _loss_by_length(clock: SampleClock, gaps: list[tuple[Fraction, Fraction]], stated_s: Fraction | None) -> Loss:
    """Return what is missing by the header; the gaps say no more than where."""
    if stated_s is None:
        return _sum([(start_s, length_s) for start_s, length_s in gaps if length_s > _FRAME_S])
    missing_s = stated_s - clock.decoded_s
    if missing_s <= _HEADER_TOLERANCE_S:
        return Loss()
    return Loss(missing_s, tuple(start_s for start_s, _ in gaps) or (clock.decoded_s,))


def _sum(gaps: list[tuple[Fraction, Fraction]]) -> Loss:
    return Loss(sum((length_s for _, length_s in gaps), Fraction(0)), tuple(start_s for start_s, _ in gaps))
