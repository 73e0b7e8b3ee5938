"""Records that no honest writer makes, for proving that a reader refuses them.

A forger here holds the real keys. Every forgery is right in all but one thing, so that only the check named by its
vector stands between it and being opened.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import esr1


def forge(key, ctx, plaintext, *, magic=esr1.MAGIC, suite=esr1.SUITE, flags=0, key_id=None, salt=b"", commitment=None):
    """`seal` with every field free, and the plaintext taken as it is."""
    header = magic + bytes([suite, flags]) + (key_id or esr1.key_id(key, esr1.scope_of(ctx)))
    record_key, right = esr1.record_keys(key, ctx, salt, header)
    front = header + salt + (commitment or right)
    return front + AESGCM(record_key).encrypt(esr1.NONCE, plaintext, front + esr1.sha512(ctx))


@dataclass(frozen=True)
class Reader:
    """One of the two who shall both find the ciphertext valid: the key and context held, the header read."""

    key: bytes
    ctx: bytes
    header: bytes


def two_key_ciphertext(one: Reader, two: Reader, salt: bytes, commitment: bytes, plaintext: bytes) -> bytes:
    """A ciphertext with tag that AES-GCM accepts for both readers. `plaintext`, one block, is what the first one sees.

    AES-GCM does not commit to its key: its tag is a polynomial over GF(2^128) in a point that each key has for itself,
    so one free block is enough to make two polynomials meet. For blocks a (aad), c (ciphertext) and l (lengths):

        tag = E(J0) + a1·H^n + … + c1·H^3 + c2·H^2 + l·H

    c2 is free: set both sides equal and solve for it.
    """
    sides = [Side(reader, salt, commitment) for reader in (one, two)]
    first = xor(plaintext, sides[0].keystream)
    tags_without_free = [side.tag(first + bytes(16)) for side in sides]
    points = [power(side.point, 2) for side in sides]
    free = multiply(tags_without_free[0] ^ tags_without_free[1], inverse(points[0] ^ points[1]))
    ciphertext = first + to_block(free)
    tags = [side.tag(ciphertext) for side in sides]
    assert tags[0] == tags[1], "the free block makes the tags meet"
    return ciphertext + to_block(tags[0])


class Side:
    """AES-GCM of one reader, taken apart."""

    def __init__(self, reader: Reader, salt: bytes, commitment: bytes):
        record_key, _ = esr1.record_keys(reader.key, reader.ctx, salt, reader.header)
        self.aad = reader.header + salt + commitment + esr1.sha512(reader.ctx)
        aes = Cipher(algorithms.AES(record_key), modes.ECB()).encryptor()
        self.point = from_block(aes.update(bytes(16)))
        self.mask = from_block(aes.update(counter(1)))
        self.keystream = aes.update(counter(2))

    def tag(self, ciphertext: bytes) -> int:
        lengths = (8 * len(self.aad)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
        sum_ = 0
        for block in blocks(self.aad) + blocks(ciphertext) + [lengths]:
            sum_ = multiply(sum_ ^ from_block(block), self.point)
        return sum_ ^ self.mask


def counter(n: int) -> bytes:
    return esr1.NONCE + n.to_bytes(4, "big")


def blocks(data: bytes) -> list[bytes]:
    return [data[at:at + 16].ljust(16, b"\0") for at in range(0, len(data), 16)]


# GF(2^128) modulo x^128 + x^7 + x^2 + x + 1. GCM writes x^0 as the first bit; reversed, integers have it as the lowest.


def from_block(block: bytes) -> int:
    return int(f"{int.from_bytes(block, 'big'):0128b}"[::-1], 2)


def to_block(element: int) -> bytes:
    return int(f"{element:0128b}"[::-1], 2).to_bytes(16, "big")


def multiply(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = a << 1, b >> 1
        if a >> 128:
            a ^= 1 << 128 | 0x87
    return product


def power(a: int, n: int) -> int:
    result = 1
    for bit in f"{n:b}":
        result = multiply(result, result)
        if bit == "1":
            result = multiply(result, a)
    return result


def inverse(a: int) -> int:
    return power(a, 2**128 - 2)


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
