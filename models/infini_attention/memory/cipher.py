"""Encrypted state files: a passphrase, scrypt and AES-GCM.

A file is a mark with its version, a salt, a nonce, and the state as ``.pt`` has it, encrypted and authenticated: who does
not know the passphrase can neither read it nor change it unnoticed.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import StateError, UsageFailure

# The last byte is the version, which fixes everything below.
MAGIC = b"infini-encrypted-state\x01"
_SALT, _NONCE, _TAG = 16, 12, 16
# 64 MiB and about a third of a second for each guess. Constants: a file from a stranger must not ask for more.
_COST, _BLOCK, _PARALLEL = 1 << 16, 8, 2
_KEY = 32


class LockedState(StateError):
    """A state is encrypted, and cannot be opened with what was given."""


class StateCipher:
    """Encrypts and opens states with a passphrase; it keeps the keys that it has derived.

    Args:
        passphrase: any text but an empty one.

    Raises:
        UsageFailure: it is empty.
    """

    def __init__(self, passphrase: str) -> None:
        if not passphrase:
            raise UsageFailure("the passphrase is empty", "choose one that is hard to guess, such as five random words")
        self._passphrase = passphrase
        self._salt = os.urandom(_SALT)
        self._keys: dict[bytes, bytes] = {}

    def encrypt(self, content: bytes) -> bytes:
        """An encrypted file of these bytes."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, start = os.urandom(_NONCE), MAGIC + self._salt
        return start + nonce + AESGCM(self._key(self._salt)).encrypt(nonce, content, start)

    def decrypt(self, content: bytes) -> bytes:
        """What ``encrypt`` was given.

        Raises:
            ValueError: it was encrypted with another passphrase, or altered.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        start = content[: len(MAGIC) + _SALT]
        nonce = content[len(start) : len(start) + _NONCE]
        if not is_encrypted(content) or len(content) < len(MAGIC) + _SALT + _NONCE + _TAG:
            raise ValueError("this is no encrypted state of this version")
        try:
            opened = AESGCM(self._key(start[len(MAGIC) :])).decrypt(
                nonce, memoryview(content)[len(start) + _NONCE :], start
            )
        except InvalidTag as error:
            raise ValueError("another passphrase, or altered") from error
        return bytes(opened)

    def _key(self, salt: bytes) -> bytes:
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        if salt not in self._keys:
            derive = Scrypt(salt=salt, length=_KEY, n=_COST, r=_BLOCK, p=_PARALLEL)
            self._keys[salt] = derive.derive(self._passphrase.encode())
        return self._keys[salt]


def is_encrypted(start: bytes) -> bool:
    """Whether a file that begins so is an encrypted state of this version."""
    return start.startswith(MAGIC)


def file_is_encrypted(path: Path) -> bool:
    """Whether a file is an encrypted state; ``False`` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return is_encrypted(file.read(len(MAGIC)))
    except OSError:
        return False


def opened(path: Path, content: bytes, cipher: StateCipher | None) -> bytes:
    """The state in an encrypted file.

    Raises:
        LockedState: there is no passphrase, or it is another one.
    """
    if cipher is None:
        raise LockedState(
            f"the state {path} is encrypted, and no passphrase is given",
            "set INFINI_PASSPHRASE or INFINI_PASSPHRASE_FILE, or give it on a terminal",
        )
    try:
        return cipher.decrypt(content)
    except ValueError as error:
        raise LockedState(
            f"the state {path} cannot be opened: the passphrase is another one, or the file was altered",
            "check the passphrase; without it, read the document again",
        ) from error
