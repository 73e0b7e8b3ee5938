"""Records, contexts and unwrapped keys that must be refused, each with the one reason.

The expected error is written down here from the format's description, never taken from what `esr1` answers.
"""

import esr1
from forge import Reader, forge, two_key_ciphertext
from vectors import COMPOSED, HOSTS, KEY, ROOT, SALT, STORE, TOKEN, context_of, request, scope, scope_of, wrapped_key

OTHER_KEY = bytes(range(32, 64))
SPACE = request(space="us_sp_42", version=7)

# Where V1's bytes change from one check to the next: (field, first bit, end, error when a bit of it flips).
RECORD_BITS = [
    ("magic", 0, 32, "unsupported_format"),
    ("suite", 32, 40, "unsupported_suite"),
    # Padded becomes not padded: a legal flag, but not the one that was committed to.
    ("padded", 40, 41, "commitment_mismatch"),
    ("flags", 41, 48, "unsupported_flags"),
    ("key-id", 48, 176, "wrong_key"),
    ("salt", 176, 432, "commitment_mismatch"),
    ("commitment", 432, 688, "commitment_mismatch"),
]
WRAP_BITS = [
    ("wrap-magic", 0, 32, "unsupported_format"),
    ("provider", 32, 40, "unsupported_provider"),
    ("wrapped-key-id", 40, 168, "wrong_key"),
    ("generation", 168, 200, "wrong_generation"),
]


def records() -> list[dict]:
    bits = RECORD_BITS + [("ciphertext-and-tag", 688, 1328, "decrypt_failed")]
    v1 = {"key": KEY.hex(), "request": request()}
    return [
        *sweeps("V1", v1, 166, bits, shortest=102), *transplants(), *wrong_keys(), *headers(), *orders(), *salts(),
        *two_keys(), *paddings(),
    ]


def sweeps(of: str, asked: dict, length: int, bits: list, shortest: int) -> list[dict]:
    def sweep(id_, why, op, start, end, error, **more):
        mutation = {"of": of, "op": op, "from": start, "to": end} | more
        return {"id": f"{of}-{id_}", "why": why} | asked | {"mutation": mutation, "error": error}

    return [
        *[sweep(f"flip-{name}", "one bit is wrong", "flip", start, end, error) for name, start, end, error in bits],
        sweep("cut-below-the-fixed-part", "shorter than the fixed part", "truncate", 0, shortest, "too_short"),
        sweep("cut", "the end is missing", "truncate", shortest, length, "decrypt_failed"),
        sweep("extended", "bytes follow the tag", "append", 1, 65, "decrypt_failed", byte="00"),
    ]


def transplants() -> list[dict]:
    """A record served where something else is asked for. All are refused before anything is decrypted."""
    def moved(id_, why, asked, error, of="V1"):
        return opened(f"transplant-{id_}", f"{of}, asked for {why}", asked, error) | {"mutation": keep(of)}

    no_space, empty_space = esr1.field(esr1.NO_SPACE, b""), esr1.field(esr1.SPACE, b"")
    ctx = context_of(request()).encode().replace(no_space, empty_space)
    of_empty_space = {
        "id": "transplant-empty-space", "why": "V1, asked for in a space called \"\"", "key": KEY.hex(),
        "ctx": ctx.hex(), "mutation": keep("V1"), "error": "wrong_key",
    }
    no = "commitment_mismatch"
    return [
        moved("store", "in another store", request(store="a5" * 15 + "a4"), "wrong_key"),
        moved("environment", "in another environment", request(environment="us_env_dev"), "wrong_key"),
        moved("space", "in a space", request(space="us_sp_42"), "wrong_key"),
        of_empty_space,
        moved("name", "under another name", request(name="SLACK_TOKEN2"), no),
        moved("version", "as another version", request(version=2), no),
        moved("kind", "as another kind", request(kind=2), no),
        moved("purpose", "for another purpose", request(purpose="flow:0b6f2a1e"), no),
        moved("policy", "with a looser policy", request(policy=HOSTS.hex()), no),
        moved("wider-policy", "with a looser policy", request(policy=b"hosts=*.slack.com".hex()), no, "P11-policy"),
        moved("no-policy", "with no policy", request(), no, "P11-policy"),
        moved("sibling-space", "in another space", SPACE | {"space": "us_sp_43"}, "wrong_key", "V2"),
        moved("space-to-environment", "in its environment", request(version=7), "wrong_key", "V2"),
        moved("name-case", "in small letters", request(name="slack_token"), no),
        moved("name-form", "under a name that looks the same", request(name=COMPOSED), no, "P9-name-decomposed"),
        # Fields that follow each other: only their lengths say where one ends.
        moved("border-of-environment", "with a letter moved from environment to space",
              SPACE | {"environment": "us_env_pro", "space": "dus_sp_42"}, "wrong_key", "V2"),
        moved("border-of-space", "with a letter moved from name to space",
              SPACE | {"space": "us_sp_42S", "name": "LACK_TOKEN"}, "wrong_key", "V2"),
    ]


def keep(of: str) -> dict:
    return {"of": of, "op": "keep"}


def set_bytes(of: str, offset: int, data: bytes) -> dict:
    return {"of": of, "op": "set", "offset": offset, "bytes": data.hex()}


def wrong_keys() -> list[dict]:
    space_id = esr1.key_id(KEY, esr1.scope_of(context_of(SPACE).encode()))
    foreign = opened("key-id-of-another-scope", "V1 with the key id of a space", request(), "wrong_key")
    moved = opened("key-id-of-the-scope-asked", "V1 relabelled for the space asked", SPACE, "commitment_mismatch")
    other = opened("another-key", "V1 read with another scope key", request(), "wrong_key", key=OTHER_KEY)
    root = opened("another-root", "V5 read with another root key", v5_request(), "wrong_key", key=OTHER_KEY)
    return [
        foreign | {"mutation": set_bytes("V1", 6, space_id)},
        moved | {"mutation": set_bytes("V1", 6, space_id)},
        other | {"mutation": keep("V1")},
        root | {"mutation": keep("V5")},
    ]


def v5_request() -> dict:
    return request(space="us_sp_42", name="", version=3, kind=3, purpose="scope-key")


def opened(id_, why, asked, error, key=KEY) -> dict:
    """A row without its record."""
    return {"id": id_, "why": why, "key": key.hex(), "request": asked, "error": error}


def forged(id_, why, error, plaintext=None, **fields) -> dict:
    """A row whose record is sealed with the right key and wrong `fields`; the rest is V1's."""
    plaintext = esr1.pad(TOKEN) if plaintext is None else plaintext
    record = forge(KEY, context_of(request()).encode(), plaintext, **({"flags": 1, "salt": SALT} | fields))
    return opened(id_, why, request(), error) | {"record": record.hex()}


def headers() -> list[dict]:
    """Sealed and committed with the header they show: only the check of that header can refuse them."""
    suites = [forged(f"suite-{suite:02x}", "no such suite", "unsupported_suite", suite=suite) for suite in (0, 2, 0xFF)]
    flags = [
        forged(f"flags-{flags:02x}", "no such flag", "unsupported_flags", flags=flags)
        for flags in [1 << bit for bit in range(1, 8)] + [0x03, 0xFF]
    ]
    return [forged("magic", "another format", "unsupported_format", magic=b"ESR2")] + suites + flags


def orders() -> list[dict]:
    """Two faults at once: the earlier check answers."""
    other_id, other_commitment = bytes(16), bytes(32)
    tag_wrong = bytearray(forge(KEY, context_of(request()).encode(), TOKEN, flags=1, salt=SALT))
    tag_wrong[-1] ^= 1
    short = {"record": (b"ESR2" + bytes(97)).hex()}
    return [
        opened("order-length-format", "short, and another format", request(), "too_short") | short,
        forged("order-format-suite", "another format and suite", "unsupported_format", magic=b"ESR2", suite=2),
        forged("order-suite-flags", "another suite, unknown flags", "unsupported_suite", suite=2, flags=2),
        forged("order-flags-key", "unknown flags, another key id", "unsupported_flags", flags=2, key_id=other_id),
        forged("order-key-commitment", "another key id and commitment", "wrong_key", key_id=other_id,
               commitment=other_commitment),
        forged("order-commitment-padding", "valid to AES-GCM; commitment and padding wrong", "commitment_mismatch",
               TOKEN, commitment=other_commitment),
        opened("order-tag-padding", "tag and padding wrong", request(), "decrypt_failed") | {"record": tag_wrong.hex()},
    ]


def salts() -> list[dict]:
    why = "sealed with a salt of another length; everything after it is shifted"
    return [
        forged("salt-31", why, "commitment_mismatch", salt=SALT[:31]),
        forged("salt-33", why, "commitment_mismatch", salt=SALT + b"\xd0"),
        forged("salt-31-empty-value", why, "too_short", b"", flags=0, salt=SALT[:31]),
    ]


def two_keys() -> list[dict]:
    """Ciphertexts that AES-GCM accepts for two readers. Were it not for the commitment, each would open both ways."""
    ctx = context_of(request()).encode()
    other_name = request(name="GITHUB_TOKEN")
    header, other_header = header_of(KEY), header_of(OTHER_KEY)
    mine, neither = Reader(KEY, ctx, header), bytes(32)

    def attack(other: Reader, commitment: bytes) -> bytes:
        return SALT + commitment + two_key_ciphertext(mine, other, SALT, commitment, b"first of 2 keys.")

    two_scope_keys = attack(Reader(OTHER_KEY, ctx, other_header), neither)
    committed_to = esr1.record_keys(OTHER_KEY, ctx, SALT, header)[1]
    one_record = header + attack(Reader(OTHER_KEY, ctx, header), committed_to)
    names = Reader(KEY, context_of(other_name).encode(), header)
    two_names = header + attack(names, neither)
    committed_name = header + attack(names, esr1.record_keys(KEY, ctx, SALT, header)[1])

    one = "one ciphertext, valid to AES-GCM under two scope keys, each with its key id; commits to neither"
    same = "one record, valid to AES-GCM under two scope keys; carries the first's key id, commits to the second"
    name = "one record, valid to AES-GCM for two names under one scope key; commits to neither"
    first = "as before, but commits to the first name: asked for the second"
    no = "commitment_mismatch"
    return [
        opened("two-key-first", one, request(), no) | {"record": (header + two_scope_keys).hex()},
        opened("two-key-second", one, request(), no, OTHER_KEY) | {"record": (other_header + two_scope_keys).hex()},
        opened("two-key-one-record-first", same, request(), no) | {"record": one_record.hex()},
        # A record names one key, so the other never gets as far as the commitment.
        opened("two-key-one-record-second", same, request(), "wrong_key", OTHER_KEY) | {"record": one_record.hex()},
        opened("two-key-names-first", name, request(), no) | {"record": two_names.hex()},
        opened("two-key-names-second", name, other_name, no) | {"record": two_names.hex()},
        opened("two-key-committed-name-second", first, other_name, no) | {"record": committed_name.hex()},
    ]


def header_of(key: bytes) -> bytes:
    return esr1.MAGIC + bytes([esr1.SUITE, 0]) + esr1.key_id(key, scope_of(request()).encode())


def paddings() -> list[dict]:
    def padding(id_, why, plaintext):
        return forged(f"padding-{id_}", why, "bad_padding", plaintext)

    def length(size, rest):
        return size.to_bytes(4, "big") + rest.ljust(60, b"\0")

    right = esr1.pad(TOKEN)
    return [
        padding("first-byte", "the fill starts with a one", right[:37] + b"\x01" + right[38:]),
        padding("last-byte", "the fill ends with a one", right[:-1] + b"\x01"),
        padding("length-one-less", "the length leaves out the value's last byte", length(len(TOKEN) - 1, TOKEN)),
        padding("length-one-beyond", "the length is one byte beyond the buffer", length(61, TOKEN)),
        padding("length-whole-buffer", "the length forgets its own four bytes", length(64, TOKEN)),
        padding("length-highest", "the length is 2^32 - 1", length(2**32 - 1, TOKEN)),
        padding("length-sign", "the length is 2^31", length(2**31, TOKEN)),
        padding("none-at-all", "a padded record without any plaintext", b""),
        padding("no-length", "three bytes: too few for the length", bytes(3)),
        padding("length-only", "four zero bytes: not a multiple of 64", bytes(4)),
        padding("not-a-multiple", "one zero byte short of a multiple of 64", right[:-1]),
        padding("block-too-many", "a whole block of zeros too many", right + bytes(64)),
        padding("little-endian", "the length is written backwards", b"\x21\0\0\0" + right[4:]),
    ]


def contexts() -> list[dict]:
    good = esr1.parse_context(context_of(SPACE).encode())
    tags = list(good)
    magic = esr1.CONTEXT_MAGIC
    whole = context_of(SPACE).encode()
    none, some = esr1.NO_SPACE, esr1.SPACE

    def encoded(order, changes=None):
        return magic + b"".join(esr1.field(tag, (good | (changes or {}))[tag]) for tag in order)

    def row(id_, why, ctx):
        return {"id": f"ctx-{id_}", "why": why, "ctx": ctx.hex(), "error": "bad_context"}

    def swapped(i):
        return tags[:i] + [tags[i + 1], tags[i]] + tags[i + 2:]

    def resized(tag, value):
        return encoded(tags, {tag: value})

    def spaces(*order):
        return encoded([1, 2, *order, *tags[3:]], {none: b""})

    pairs = list(enumerate(zip(tags, tags[1:])))
    return [
        *[row(f"missing-{tag}", f"no tag {tag}", encoded([t for t in tags if t != tag])) for tag in tags],
        *[row(f"doubled-{t}", f"tag {t} twice", encoded(sorted([*tags, t]))) for t in tags],
        *[row(f"swapped-{one}-{two}", "tags out of order", encoded(swapped(i))) for i, (one, two) in pairs],
        row("doubled-3", "tag 3 twice", spaces(none, none)),
        row("both-3-4", "no space, and a space", spaces(none, some)),
        row("both-4-3", "a space, and no space", spaces(some, none)),
        row("doubled-at-the-end", "tag 5 again after tag 9", encoded([*tags, esr1.NAME])),
        row("tag-0", "no such tag", encoded([0, *tags], {0: b""})),
        row("tag-10", "no such tag", encoded([*tags, 10], {10: b""})),
        row("tag-3-with-bytes", "no space has no bytes", encoded([1, 2, 3, *tags[3:]], {none: b"us_sp_42"})),
        *[row(f"store-{n}", "a store id has 16 bytes", resized(esr1.STORE, STORE[:1] * n)) for n in (0, 15, 17)],
        *[row(f"version-{n}", "a version has 8 bytes", resized(esr1.VERSION, bytes(n))) for n in (4, 7, 9)],
        *[row(f"policy-{n}", "a policy digest has 32 bytes", resized(esr1.POLICY, bytes(n))) for n in (0, 31, 33, 64)],
        *[row(f"kind-{kind}", "no such kind", resized(esr1.KIND, bytes([kind]))) for kind in (0, 7, 0xFF)],
        row("kind-wide", "a kind has one byte", resized(esr1.KIND, b"\0\x01")),
        row("environment-not-ascii", "ids are ASCII", resized(esr1.ENVIRONMENT, "\u00fcs".encode())),
        row("space-not-ascii", "ids are ASCII", resized(esr1.SPACE, "\u00fcs".encode())),
        row("purpose-not-ascii", "a purpose is ASCII", resized(esr1.PURPOSE, "s\u00e9cret".encode())),
        row("empty", "nothing", b""),
        row("magic-only", "no fields", magic),
        row("magic", "a record's magic", b"ESR1" + whole[8:]),
        row("magic-of-another-format", "the magic differs after its fourth byte", b"ESR1cty\0" + whole[8:]),
        row("magic-not-closed", "the zero byte is missing", whole.replace(magic, magic[:-1])),
        row("cut-value", "the last value is one byte short", whole[:-1]),
        row("cut-length", "half a length", whole + b"\x0a\0\0"),
        row("length-beyond", "the first length is beyond the buffer", whole[:9] + b"\xff\xff\xff\xff" + whole[13:]),
        row("length-little-endian", "the first length is backwards", whole[:9] + b"\x10\0\0\0" + whole[13:]),
        row("trailing", "a byte follows", whole + b"\0"),
    ]


def wrapped() -> list[dict]:
    inner = [(name, start + 200, end + 200, error) for name, start, end, error in RECORD_BITS]
    bits = WRAP_BITS + inner + [("ciphertext-and-tag", 888, 1272, "decrypt_failed")]
    asked = {"root": ROOT.hex(), "scope": scope(), "generation": 3}

    def row(id_, why, error, wrapped_=None, **changes):
        record = {"mutation": keep("W1")} if wrapped_ is None else {"wrapped": wrapped_.hex()}
        return {"id": f"wrap-{id_}", "why": why} | asked | changes | record | {"error": error}

    def holding(key, labelled_as=KEY):
        """Well wrapped, whatever the key; labelled with the id of another."""
        whole = esr1.wrap_local(ROOT, scope_of(scope()), 3, key, SALT)
        return whole[:5] + esr1.key_id(labelled_as, scope_of(scope()).encode()) + whole[21:]

    older = bytes.fromhex(wrapped_key("W0", scope(), 2, OTHER_KEY)["wrapped"])
    other_provider = holding(KEY)[:4] + b"\x01" + holding(KEY)[5:]
    return [
        *sweeps("W1", asked, 159, bits, shortest=127),
        row("provider-kms", "made by another provider", "unsupported_provider", other_provider),
        row("other-root", "another root key", "wrong_key", root=OTHER_KEY.hex()),
        row("other-space", "the key of another space", "wrong_key", scope=scope(space="us_sp_43")),
        row("no-space", "the key of a space for its environment", "wrong_key", scope=scope(space=None)),
        row("other-store", "the key of another store", "wrong_key", scope=scope(store="a5" * 15 + "a4")),
        row("asked-later", "generation 3 where 4 is asked for", "wrong_generation", generation=4),
        row("older", "generation 2 where 3 is asked for", "wrong_generation", older),
        row("older-relabelled", "generation 2 that says 3", "commitment_mismatch", older[:24] + b"\x03" + older[25:]),
        row("key-0", "holds no bytes", "bad_key_length", holding(b"")),
        row("key-31", "holds 31 bytes", "bad_key_length", holding(KEY[:31])),
        row("key-33", "holds 33 bytes", "bad_key_length", holding(KEY + b"\x20")),
        row("key-zero", "holds the zero key, rightly labelled", "zero_key", holding(bytes(32), bytes(32))),
        row("key-other", "holds another key than it says", "wrong_key", holding(OTHER_KEY)),
    ]


def unwrap_answers() -> list[dict]:
    def row(id_, why, answer, error, expected=KEY, owner=None):
        owner = owner or scope()
        key_id = esr1.key_id(expected, scope_of(scope()).encode()).hex()
        asked = {"scope": owner, "key_id": key_id}
        return {"id": f"answer-{id_}", "why": why} | asked | {"answer": answer.hex(), "error": error}

    return [
        row("right", "the key that was wrapped", KEY, None),
        row("0", "nothing", b"", "bad_key_length"),
        row("31", "one byte short", KEY[:31], "bad_key_length"),
        row("33", "one byte more", KEY + b"\x20", "bad_key_length"),
        row("zero", "all zero", bytes(32), "zero_key"),
        # Its id fits: only the check for the zero key itself refuses it.
        row("zero-expected", "all zero, and expected so", bytes(32), "zero_key", expected=bytes(32)),
        row("zero-31", "zeros, one byte short", bytes(31), "bad_key_length", expected=bytes(31)),
        row("other", "the plaintext of another key", OTHER_KEY, "wrong_key"),
        row("other-space", "the right bytes for another space", KEY, "wrong_key", owner=scope(space="us_sp_43")),
        row("one-bit", "one bit is wrong", KEY[:31] + b"\x1e", "wrong_key"),
    ]
