"""Records and wrapped keys that are right; `negatives` has those that must be refused.

V1 to V5 are frozen with the format: their bytes are written here, and making them fails if `esr1` no longer agrees.
Everything else is computed, and nothing is random.
"""

import hashlib

import esr1

STORE = b"\xa5" * 16
KEY = bytes(range(32))
ROOT = b"\x42" * 32
SALT = bytes(0xF0 ^ i for i in range(32))
TOKEN = b"xoxb-canary-0000-not-a-real-token"
# One name to the eye, two to the format.
COMPOSED = "cl\u00e9 d'acc\u00e8s \u2116 1"
DECOMPOSED = "cle\u0301 d'acce\u0300s \u2116 1"
HOSTS = b"hosts=files.slack.com"

FROZEN = {
    "V1": (
        "4553523101012d267fef05c616655d73bcb50c44b869f0f1f2f3f4f5f6f7f8f9fafbfcfdfeffe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
        "8bc11af15f2864e13d012b9c8e8f48732a53c380a06c2053caf4c0d4d9c24809fc38030782d3ed20a5ef11812f426ca22fa71c3a8cc2"
        "6d7e156d87729496c05e1c9f506f8c0c8a9f51da387b21663f3c1b4fc727136da1c78289d8d8a9420be2965b4dcb4cd85ccc9133ded3"
        "64fea816"
    ),
    "V2": (
        "455352310101e8b1aec6c355b2534c7b78297d5cef11f0f1f2f3f4f5f6f7f8f9fafbfcfdfeffe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
        "c7fd1f715aade692b047006d9d37f73494dd42e45065094a906f6c410540daa3eddb381713501e71f0c8ccb061c3e037cb359b842b90"
        "9ad3123d4899a5d686097e02a8673600cc83d873d0844b7b9d100686af89de2407e685dd67c270d9dee698077648d222f907a8dda9b1"
        "6bdcdcd6"
    ),
    "V3": (
        "455352310101e8b1aec6c355b2534c7b78297d5cef11f0f1f2f3f4f5f6f7f8f9fafbfcfdfeffe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
        "6608d5afe20e5dcbe9a10f9199d902198ea787898c2c1bf6d5405e37e336f70153dcc29f5b330cd76c8c160c9424603ad4858c357e69"
        "48fcbf883f7eb56ee35bf03451c5f4dfb717f25db1e1cdb15e7f56dde19a90a949deffa78b61ad423d88463db68318b557abe4d51ca9"
        "13b7b8bb"
    ),
    "V4": (
        "4553523101002d267fef05c616655d73bcb50c44b869f0f1f2f3f4f5f6f7f8f9fafbfcfdfeffe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
        "368d28ab57edd8ef07f16b870d54a2e5a8d823cc11bd1556223dc0d77aaa00bf218ac47f3ab7cad182f23e3830671b9cfc40013b0988"
        "9c298d8ae628398d8df54a9c0a551c9b83a30e08538578e535a7ff"
    ),
    "V5": (
        "4553523101001e9cfe98de973823673826a706b71497f0f1f2f3f4f5f6f7f8f9fafbfcfdfeffe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
        "5d36da4510e621cec10b5b29a48c33bc257a10b477fe8c110924dca8efea063029b1b41b46ce6c33a9a4de5aae79ff49bf84b32b17a2"
        "abc4b026f1c3c87eee344a378b0be9391eedc6c76b40ecca4eb6"
    ),
}


def request(**asked) -> dict:
    """What V1 asks for, with changes."""
    return {
        "store": STORE.hex(), "environment": "us_env_prod", "space": None, "name": "SLACK_TOKEN", "version": 1,
        "kind": 1, "purpose": "secret", "policy": "",
    } | asked


def scope(**asked) -> dict:
    return {"store": STORE.hex(), "environment": "us_env_prod", "space": "us_sp_42"} | asked


def scope_of(row: dict) -> esr1.Scope:
    return esr1.Scope(bytes.fromhex(row["store"]), row["environment"], row["space"])


def context_of(row: dict) -> esr1.Context:
    policy = bytes.fromhex(row["policy"])
    return esr1.Context(scope_of(row), row["name"], row["version"], row["kind"], row["purpose"], policy)


def counting(size: int) -> bytes:
    return bytes(i % 251 for i in range(size))


def positives() -> list[dict]:
    space = {"space": "us_sp_42"}
    rows = [
        positive("V1", request(), TOKEN, salt=SALT),
        positive("V2", request(**space, version=7), TOKEN, salt=SALT),
        positive("V3", request(**space, version=8, kind=2), b"", salt=SALT),
        positive("V4", request(), TOKEN, padded=False, salt=SALT),
        positive("V5", request(**space, name="", version=3, kind=3, purpose="scope-key"), KEY, key=ROOT, padded=False,
                 salt=SALT),
        positive("P1-binary", request(), bytes(range(256))),
        positive("P2-binary-unpadded", request(), bytes(range(256)), padded=False),
        positive("P3-empty", request(), b""),
        positive("P4-empty-unpadded", request(), b"", padded=False),
        positive("P5-fills-one-block", request(), bytes([0xFF]) * 60),
        positive("P6-one-byte-into-the-next-block", request(), bytes([0xFF]) * 61),
        positive("P7-value-that-is-zeros", request(), bytes(32)),
        positive("P8-name-composed", request(name=COMPOSED), TOKEN),
        positive("P9-name-decomposed", request(name=DECOMPOSED), TOKEN),
        positive("P10-name-beyond-the-first-plane", request(name="\U0001f511-\u9375"), TOKEN),
        positive("P11-policy", request(policy=HOSTS.hex()), TOKEN),
        positive("P12-flow-parameter", request(purpose="flow:0b6f2a1e", policy=HOSTS.hex()), b'{"depth": 3}'),
        positive("P13-highest-version", request(**space, version=2**64 - 1), TOKEN),
        positive("P14-delegated-token", request(**space, kind=6), TOKEN, key=hashlib.sha256(b"P14").digest()),
        positive("P15-space-named-as-its-environment", request(space="us_env_prod"), TOKEN),
    ]
    for row in rows[:5]:
        assert row["record"] == FROZEN[row["id"]], f"{row['id']} is frozen with the format"
    return rows


def positive(id_: str, asked: dict, plaintext: bytes, *, key=KEY, padded=True, salt=None) -> dict:
    salt = salt or hashlib.sha256(id_.encode()).digest()
    ctx = context_of(asked).encode()
    record = esr1.seal(key, ctx, plaintext, padded, salt)
    return {
        "id": id_, "key": key.hex(), "request": asked, "plaintext": plaintext.hex(), "padded": padded,
        "salt": salt.hex(), "key_id": esr1.key_id(key, esr1.scope_of(ctx)).hex(), "ctx": ctx.hex(),
        "record": record.hex(),
    }


def large() -> list[dict]:
    rows = []
    for id_, padded in (("L1", True), ("L2", False)):
        row = positive(id_, request(), counting(esr1.VALUE_LIMIT), padded=padded)
        record = bytes.fromhex(row.pop("record"))
        del row["plaintext"]
        row |= {"plaintext_len": esr1.VALUE_LIMIT, "record_len": len(record)}
        rows.append(row | {"record_sha256": hashlib.sha256(record).hexdigest()})
    return rows


def wrapped() -> list[dict]:
    return [
        # Its record is V5, its key id that of V2.
        wrapped_key("W1", scope(), 3, KEY, SALT),
        wrapped_key("W2-environment", scope(space=None), 1, KEY),
        wrapped_key("W3-store-key", scope(environment="-store-", space=None), 2**32 - 1, bytes(reversed(KEY))),
    ]


def wrapped_key(id_: str, owner: dict, generation: int, key: bytes, salt: bytes | None = None) -> dict:
    salt = salt or hashlib.sha256(id_.encode()).digest()
    of = scope_of(owner)
    return {
        "id": id_, "root": ROOT.hex(), "scope": owner, "generation": generation, "key": key.hex(), "salt": salt.hex(),
        "root_key_id": esr1.key_id(ROOT, of.encode()).hex(), "key_id": esr1.key_id(key, of.encode()).hex(),
        "wrapped": esr1.wrap_local(ROOT, of, generation, key, salt).hex(),
    }
