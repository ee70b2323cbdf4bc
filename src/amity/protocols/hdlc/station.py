"""What both ends of an HDLC link have in common: a line to listen to, time-outs as arguments, events to hand out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from amity.kernel.errors import LocalProtocolError
from amity.protocols.hdlc.events import Event, WakeAt
from amity.protocols.hdlc.frame import Frame, Reader
from amity.protocols.hdlc.parameters import DEFAULT_PARAMETERS, Parameters


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How a station behaves; times in seconds.

    Args:
        parameters: what this station can; what is in force is agreed in SNRM and UA.
        response_timeout_s: a client asks again after so much silence.
        retries: how often it asks again before it gives up.
        inter_octet_timeout_s: a frame that stops for so long inside is given up, and the line listened to anew.
        poll_interval_s: a client gives a meter that has nothing to say yet, or is not ready, so much time.
        inactivity_timeout_s: a meter takes a client that says nothing for so long for gone; None: never.
        rejects: answer a gap with REJ; the standard's own repertoire is RR, which says the same with the next poll.
    """

    parameters: Parameters = DEFAULT_PARAMETERS
    response_timeout_s: float = 3.0
    retries: int = 2
    inter_octet_timeout_s: float = 0.5
    poll_interval_s: float = 0.1
    inactivity_timeout_s: float | None = 120.0
    rejects: bool = False

    def __post_init__(self) -> None:
        """Raise LocalProtocolError for times that are none."""
        times = (self.response_timeout_s, self.inter_octet_timeout_s, self.inactivity_timeout_s or 1.0)
        if min(times) <= 0 or self.poll_interval_s < 0 or self.retries < 0:
            raise LocalProtocolError("HDLC time-outs are above 0 seconds and retries 0 or more")


class Station(ABC):
    """One end of a line, without the line: subclasses say what a frame and the passing of time mean.

    Every public method takes the time in seconds of any clock that never goes back, and returns what is to be done.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self.settings = settings
        self._reader = Reader()
        self._events: list[Event] = []
        self._announced_s: float | None = None
        self._last_octet_s = 0.0
        self._now_s = 0.0

    @property
    def pending_octets(self) -> int:
        """How many octets of an unfinished frame have come."""
        return self._reader.pending_octets

    @property
    def noise_octets(self) -> int:
        """How many octets belonged to no frame."""
        return self._reader.noise_octets

    def receive(self, octets: bytes, now_s: float) -> list[Event]:
        """Take what the line brought, in whatever pieces."""
        self._now_s = self._last_octet_s = now_s
        self._heard(self._reader.feed(octets))
        return self._done()

    def wake(self, now_s: float) -> list[Event]:
        """Take note of the time; does nothing when none is due."""
        self._now_s = now_s
        self._announced_s = None  # the alarm has rung: whatever is still due is said again
        if self._reader.in_frame and now_s >= self._last_octet_s + self.settings.inter_octet_timeout_s:
            self._heard(self._reader.finish())
        due_s = self._due_s()
        if due_s is not None and now_s >= due_s and not self._reader.in_frame:
            self._on_time()
        return self._done()

    # -------------------------------------------------------------- for the two kinds of station
    def _heard(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.fcs_ok and frame.hcs_ok is not False:
                self._on_frame(frame)

    def _done(self) -> list[Event]:
        """Hand out the events, with the next time at its end when it has changed."""
        wake_s = self._due_s()
        if self._reader.in_frame:  # as long as octets come nobody is silent; when they stop, the frame is given up
            wake_s = self._last_octet_s + self.settings.inter_octet_timeout_s
        if wake_s != self._announced_s:
            self._announced_s = wake_s
            self._events.append(WakeAt(wake_s))
        events, self._events = self._events, []
        return events

    @abstractmethod
    def _on_frame(self, frame: Frame) -> None:
        """A sound frame came, for whomever."""

    @abstractmethod
    def _due_s(self) -> float | None:
        """When something is to be done if nothing comes."""

    @abstractmethod
    def _on_time(self) -> None:
        """That time has come."""
