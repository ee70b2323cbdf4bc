"""Who waits to hear of a push hears it once, and nobody waits for ever."""

from amity.collector.confirmations import Confirmations


class Hearing:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.heard: list[tuple[int, bytes | None]] = []
        self.confirmations = Confirmations(lambda: self.now_s, waiting_max=3)

    def expect(self, *numbers: int) -> None:
        for number in numbers:
            self.confirmations.expect(number, lambda apdu, number=number: self.heard.append((number, apdu)))  # type: ignore[misc]


def test_a_confirmation_goes_to_whoever_waits_for_it_once() -> None:
    hearing = Hearing()
    hearing.expect(1, 2)
    hearing.confirmations.confirmed(2, b"kept")
    hearing.confirmations.confirmed(2, b"kept")
    hearing.confirmations.kept([1, 2, 9])
    assert hearing.heard == [(2, b"kept"), (1, None)]


def test_the_oldest_makes_room_and_after_a_while_nobody_is_worth_a_confirmation() -> None:
    hearing = Hearing()
    hearing.expect(1, 2, 3, 4)
    assert [hearing.confirmations.awaited(number) for number in (1, 2, 3, 4, 5)] == [False, True, True, True, False]
    hearing.now_s = 121.0
    assert not hearing.confirmations.awaited(4)
