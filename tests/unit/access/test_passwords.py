"""Passwords: the hash that is checked where there is no user."""

from __future__ import annotations

import pytest
from argon2 import extract_parameters
from argon2.exceptions import VerifyMismatchError

from warouter.access.passwords import _hash_of_nobody, _hasher, hash_problem


def test_the_hash_of_nobody_takes_the_check_of_a_password() -> None:
    drawn, made = _hash_of_nobody(), _hasher().hash("a password")
    assert extract_parameters(drawn) == extract_parameters(made)
    assert hash_problem(drawn) is None
    with pytest.raises(VerifyMismatchError):  # not that it is no hash
        _hasher().verify(drawn, "a password")
    assert drawn != _hash_of_nobody()
