"""Callers of whom nobody knows yet who they are: some at a time, so that no flood shuts the others out."""

from typing import Generic, TypeVar

from amity.kernel.addresses import share_of

Caller = TypeVar("Caller")


class Strangers(Generic[Caller]):
    """`most` at a time, `most_of_one` of one address, where a /64 of IPv6 is one: its owner has all of it."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._shares: dict[str, dict[Caller, None]] = {}
        self._share_of: dict[Caller, str] = {}

    def has_share(self, peer: str) -> bool:
        """False when there are as many from this address as may be."""
        return len(self._shares.get(share_of(peer), ())) < self._most_of_one

    def add(self, caller: Caller, peer: str) -> Caller | None:
        """Count one more; give the one who has to go for it: of whoever has most here, the oldest."""
        out = self._oldest_of_most() if len(self._share_of) >= self._most else None
        if out is not None:
            self.discard(out)
        share = self._share_of[caller] = share_of(peer)
        self._shares.setdefault(share, {})[caller] = None
        return out

    def discard(self, caller: Caller) -> None:
        """He is gone, or no stranger any more."""
        share = self._share_of.pop(caller, None)
        if share is None:
            return
        del self._shares[share][caller]
        if not self._shares[share]:
            del self._shares[share]

    def _oldest_of_most(self) -> Caller:
        most = max(self._shares, key=lambda share: len(self._shares[share]))
        return next(iter(self._shares[most]))
