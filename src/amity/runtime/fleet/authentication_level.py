"""`authentication_level`: the words of administrators, meter makers and the standard for how an association is opened.

The words are those of the seed's page ("High Level Authentication", "Security Suite 1/2"), of the Green Book (lowest,
low and high level security, security suites 0 to 2; IEC 62056-5-3, 9.2) and Amity's own names of the mechanisms.
"""

import difflib
from typing import Final, NamedTuple

from amity.devices.settings import Authentication, Ciphering, Protection


class Level(NamedTuple):
    """What a level stands for; `suite` is that of its keys (0 and 1: 16 octets, 2: 32), None where none is named."""

    name: str
    authentication: Authentication
    ciphering: Ciphering = Ciphering.NONE
    protection: Protection = Protection.NONE
    suite: int | None = None


def _ciphered(name: str, suite: int) -> Level:
    return Level(name, Authentication.HLS_GMAC, Ciphering.GLO, Protection.AUTHENTICATED_ENCRYPTED, suite)


_NONE: Final = Level("none", Authentication.NONE)
_LOW: Final = Level("low", Authentication.LLS)
_HIGH: Final = _ciphered("high", 0)
_SUITES: Final = tuple(_ciphered(f"security suite {suite}", suite) for suite in range(3))
_MECHANISMS: Final = tuple(Level(one.value, one) for one in Authentication if one is not Authentication.NONE)

_WORDS: Final = {
    **dict.fromkeys(("none", "lowest", "lowest level security", "no security"), _NONE),
    **dict.fromkeys(("low", "low level authentication", "low level security", "password"), _LOW),
    **dict.fromkeys(("high", "high level authentication", "high level security", "hls"), _HIGH),
    **{f"{words}{suite}": level for suite, level in enumerate(_SUITES) for words in ("security suite ", "suite ")},
    **{level.name: level for level in _MECHANISMS},
}

ALLOWED: Final = (
    "none", "low", "High Level Authentication", "Security Suite 0", "Security Suite 1", "Security Suite 2",
    *(level.name for level in _MECHANISMS),
)  # fmt: skip
"""What is offered to somebody whose word is none; case, hyphens and underscores do not matter."""


def level_of(text: str) -> Level:
    """The level behind a word; raise ValueError that names the allowed ones."""
    plain = " ".join(text.replace("_", " ").replace("-", " ").lower().split())
    for word, level in _WORDS.items():
        if word.replace("-", " ") == plain:
            return level
    likely = difflib.get_close_matches(text, ALLOWED, n=1)
    hint = f"; did you mean {likely[0]!r}?" if likely else ""
    raise ValueError(f"{text!r} is no authentication level; allowed: {', '.join(ALLOWED)}{hint}")


def word_for(authentication: Authentication, ciphering: Ciphering, protection: Protection, suite: int) -> str | None:
    """The word whose level is such an association, None where none is."""
    ciphered = ciphering is not Ciphering.NONE
    wanted = (authentication, ciphering, protection if ciphered else Protection.NONE)
    for word in ALLOWED:
        level = level_of(word)
        if level[1:4] == wanted and level.suite in {None, suite}:
            return word
    return None
