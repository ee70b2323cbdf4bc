"""Login secrets: 256 random bits shown once, kept only as their SHA-256 (NIST SP 800-63B, 5.1.2.2 and 7.1)."""

import base64
import hashlib
from collections.abc import Callable

TOKEN_OCTETS = 32  # 256 bits: nobody guesses it, so a plain fast hash is enough


def new_secret(random_octets: Callable[[int], bytes]) -> str:
    """A fresh secret as text that is safe in a URL and in a header; chance is passed in."""
    return base64.urlsafe_b64encode(random_octets(TOKEN_OCTETS)).rstrip(b"=").decode("ascii")


def hash_of(secret: str) -> bytes:
    """SHA-256 of the secret: all that is ever stored, and what a lookup compares."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
