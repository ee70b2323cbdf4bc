import hashlib

from amity.security.permissions import Permission, allows
from amity.security.tokens import TOKEN_OCTETS, hash_of, new_secret


def test_a_secret_carries_all_the_chance_it_was_given_and_is_safe_in_a_url():
    secret = new_secret(lambda count: bytes(range(255, 255 - count, -1)))
    assert len(secret) == (TOKEN_OCTETS * 8 + 5) // 6
    assert secret.replace("-", "").replace("_", "").isalnum()


def test_only_the_sha256_is_looked_up():
    assert hash_of("abc") == hashlib.sha256(b"abc").digest()


def test_a_secret_that_is_no_text_is_hashed_and_not_an_error():
    assert len(hash_of("\udcff")) == 32


def test_read_needs_a_person_and_public_does_not():
    assert allows(Permission.PUBLIC, None)
    assert not allows(Permission.READ, None)
    assert allows(Permission.READ, "anna")
