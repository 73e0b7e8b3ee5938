"""Record format ESR1, written a second time.

The product seals secrets in Rust. This file does the same from the format's description alone, so that a mistake in
one implementation shows as a difference and not as a format. Both are held to tests/vectors/esr1.json.

    python tests/python/esr1.py --make      rewrites tests/vectors/esr1.json, always to the same bytes

It is a reference for tests: nothing is wiped from memory, so never give it a real key.
"""

import hashlib
import hmac
import os
import sys
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

MAGIC = b"ESR1"
SUITE = 0x01
PADDED = 0x01
VALUE_LIMIT = 65_536
PAD_BLOCK = 64

KEY_LEN, KEY_ID_LEN, SALT_LEN, COMMITMENT_LEN, TAG_LEN = 32, 16, 32, 32, 16
KEY_ID_AT = 6
SALT_AT = KEY_ID_AT + KEY_ID_LEN
COMMITMENT_AT = SALT_AT + SALT_LEN
CIPHERTEXT_AT = COMMITMENT_AT + COMMITMENT_LEN
SHORTEST_RECORD = CIPHERTEXT_AT + TAG_LEN
# Every record key encrypts once, because its salt is fresh.
NONCE = bytes(12)

WRAP_MAGIC = b"EWK1"
WRAP_LOCAL = 0x02
WRAP_HEADER_LEN = len(WRAP_MAGIC) + 1 + KEY_ID_LEN + 4

CONTEXT_MAGIC = b"ESR1ctx\0"
STORE, ENVIRONMENT, NO_SPACE, SPACE, NAME, VERSION, KIND, PURPOSE, POLICY = range(1, 10)
FIXED_LEN = {STORE: 16, NO_SPACE: 0, VERSION: 8, KIND: 1, POLICY: 32}
KINDS = range(1, 7)
SCOPE_KEY_KIND = 3


class Refused(Exception):
    """One exact reason. Callers of the product see a single error; the reason goes to the audit log."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Scope:
    """Whose key it is: an environment, or one space in it."""

    store: bytes
    environment: str
    space: str | None

    def encode(self) -> bytes:
        # "No space" is a field of its own, so that it can never be the same bytes as a space called "".
        space = field(NO_SPACE, b"") if self.space is None else field(SPACE, self.space.encode("ascii"))
        return CONTEXT_MAGIC + field(STORE, self.store) + field(ENVIRONMENT, self.environment.encode("ascii")) + space


@dataclass(frozen=True)
class Context:
    """What is asked for. Never read from a record."""

    scope: Scope
    name: str
    version: int
    kind: int
    purpose: str
    policy: bytes

    def encode(self) -> bytes:
        ctx = self.scope.encode() + b"".join([
            field(NAME, self.name.encode("utf-8")),
            field(VERSION, self.version.to_bytes(8, "big")),
            field(KIND, bytes([self.kind])),
            field(PURPOSE, self.purpose.encode("ascii")),
            field(POLICY, hashlib.sha256(self.policy).digest()),
        ])
        parse_context(ctx)
        return ctx


def field(tag: int, value: bytes) -> bytes:
    return bytes([tag]) + len(value).to_bytes(4, "big") + value


def parse_context(ctx: bytes) -> dict[int, bytes]:
    """The fields by tag. Refuses every encoding but the one: order, each tag once, exact lengths, nothing left over.

    Which ids are legal is not decided here: a space called "" is well formed, and simply not "no space".
    """
    if not ctx.startswith(CONTEXT_MAGIC):
        raise Refused("bad_context")
    fields: dict[int, bytes] = {}
    last, at = 0, len(CONTEXT_MAGIC)
    while at < len(ctx):
        head, start = ctx[at:at + 5], at + 5
        if len(head) < 5:
            raise Refused("bad_context")
        tag, size = head[0], int.from_bytes(head[1:], "big")
        value, at = ctx[start:start + size], start + size
        if tag <= last or len(value) != size or size != FIXED_LEN.get(tag, size):
            raise Refused("bad_context")
        fields[tag], last = value, tag
    if set(fields) - {NO_SPACE, SPACE} != {STORE, ENVIRONMENT, NAME, VERSION, KIND, PURPOSE, POLICY}:
        raise Refused("bad_context")
    if (NO_SPACE in fields) == (SPACE in fields) or fields[KIND][0] not in KINDS:
        raise Refused("bad_context")
    if not all(fields[tag].isascii() for tag in (ENVIRONMENT, SPACE, PURPOSE) if tag in fields):
        raise Refused("bad_context")
    return fields


def scope_of(ctx: bytes) -> bytes:
    """The scope context: everything up to and including the space, or its absence."""
    fields = parse_context(ctx)
    tags = (STORE, ENVIRONMENT, SPACE if SPACE in fields else NO_SPACE)
    return CONTEXT_MAGIC + b"".join(field(tag, fields[tag]) for tag in tags)


def key_id(key: bytes, scope: bytes) -> bytes:
    return expand(extract(bytes(64), key), b"ESR1/kid\0" + sha512(scope), KEY_ID_LEN)


def record_keys(key: bytes, ctx: bytes, salt: bytes, header: bytes) -> tuple[bytes, bytes]:
    """The record key and the commitment."""
    prk, bound = extract(salt, key), header + sha512(ctx)
    return expand(prk, b"ESR1/enc\0" + bound, 32), expand(prk, b"ESR1/com\0" + bound, COMMITMENT_LEN)


def seal(key: bytes, ctx: bytes, value: bytes, padded: bool, salt: bytes | None = None) -> bytes:
    if VALUE_LIMIT < len(value):
        raise Refused("value_too_long")
    salt = os.urandom(SALT_LEN) if salt is None else salt
    header = MAGIC + bytes([SUITE, PADDED if padded else 0]) + key_id(key, scope_of(ctx))
    record_key, commitment = record_keys(key, ctx, salt, header)
    front = header + salt + commitment
    return front + AESGCM(record_key).encrypt(NONCE, pad(value) if padded else value, front + sha512(ctx))


def open_record(key: bytes, ctx: bytes, record: bytes) -> bytes:
    """The value. The order of the checks is part of the format: nothing is decrypted before the commitment holds."""
    scope = scope_of(ctx)
    if len(record) < SHORTEST_RECORD:
        raise Refused("too_short")
    if record[:4] != MAGIC:
        raise Refused("unsupported_format")
    if record[4] != SUITE:
        raise Refused("unsupported_suite")
    flags = record[5]
    if flags & ~PADDED:
        raise Refused("unsupported_flags")
    if record[KEY_ID_AT:SALT_AT] != key_id(key, scope):
        raise Refused("wrong_key")
    record_key, commitment = record_keys(key, ctx, record[SALT_AT:COMMITMENT_AT], record[:SALT_AT])
    if not hmac.compare_digest(record[COMMITMENT_AT:CIPHERTEXT_AT], commitment):
        raise Refused("commitment_mismatch")
    plaintext = decrypt(record_key, ctx, record)
    return unpad(plaintext) if flags & PADDED else plaintext


def decrypt(record_key: bytes, ctx: bytes, record: bytes) -> bytes:
    """AES-GCM alone: no key id, no commitment. For `open_record`, and for tests of what the commitment is there for."""
    try:
        return AESGCM(record_key).decrypt(NONCE, record[CIPHERTEXT_AT:], record[:CIPHERTEXT_AT] + sha512(ctx))
    except InvalidTag:
        raise Refused("decrypt_failed") from None


def pad(value: bytes) -> bytes:
    plain = len(value).to_bytes(4, "big") + value
    return plain + bytes(-len(plain) % PAD_BLOCK)


def unpad(plaintext: bytes) -> bytes:
    size = int.from_bytes(plaintext[:4], "big")
    value = plaintext[4:4 + size]
    # Padding again compares everything at once: the length, the zero fill, and that there is no block too many.
    if pad(value) != plaintext:
        raise Refused("bad_padding")
    return value


def wrap_local(root: bytes, scope: Scope, generation: int, key: bytes, salt: bytes | None = None) -> bytes:
    front = WRAP_MAGIC + bytes([WRAP_LOCAL]) + key_id(key, scope.encode()) + generation.to_bytes(4, "big")
    return front + seal(root, scope_key_context(scope, generation).encode(), key, padded=False, salt=salt)


def unwrap_local(root: bytes, scope: Scope, generation: int, wrapped: bytes) -> bytes:
    """The scope key of the generation asked for. The generation in the bytes is compared and never believed."""
    if len(wrapped) < WRAP_HEADER_LEN + SHORTEST_RECORD:
        raise Refused("too_short")
    if wrapped[:4] != WRAP_MAGIC:
        raise Refused("unsupported_format")
    if wrapped[4] != WRAP_LOCAL:
        raise Refused("unsupported_provider")
    if wrapped[21:WRAP_HEADER_LEN] != generation.to_bytes(4, "big"):
        raise Refused("wrong_generation")
    key = open_record(root, scope_key_context(scope, generation).encode(), wrapped[WRAP_HEADER_LEN:])
    check_scope_key(key, scope, wrapped[5:21])
    return key


def scope_key_context(scope: Scope, generation: int) -> Context:
    return Context(scope, "", generation, SCOPE_KEY_KIND, "scope-key", b"")


def check_scope_key(key: bytes, scope: Scope, expected_id: bytes) -> None:
    """After every unwrap, whoever answered: a key service that returns other bytes is caught before any use."""
    if len(key) != KEY_LEN:
        raise Refused("bad_key_length")
    if key == bytes(KEY_LEN):
        raise Refused("zero_key")
    if key_id(key, scope.encode()) != expected_id:
        raise Refused("wrong_key")


def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def extract(salt: bytes, key: bytes) -> bytes:
    return HKDF.extract(hashes.SHA512(), salt, key)


def expand(prk: bytes, info: bytes, size: int) -> bytes:
    return HKDFExpand(hashes.SHA512(), size, info).derive(prk)


if __name__ == "__main__":
    if sys.argv[1:] != ["--make"]:
        sys.exit(__doc__)
    # Only now: those who publish build on this module.
    import publish

    publish.make()
