"""Holds `esr1` to the published vectors.

    pip install -r tests/python/requirements.txt
    python -m unittest discover -s tests/python
"""

import hashlib
import json
import unittest

import esr1
import publish
import vectors

DATA = json.loads(publish.PATH.read_text(encoding="ascii"))
BY_ID = {row["id"]: row for row in DATA["positives"] + DATA["wrapped"]}


class Records(unittest.TestCase):
    def test_every_positive_seals_to_its_record_and_opens_again(self):
        for row in DATA["positives"]:
            with self.subTest(row["id"]):
                record = self.sealed(row, unhex(row["plaintext"]))
                self.assertEqual(record.hex(), row["record"])

    def test_the_frozen_vectors_are_those_of_the_format(self):
        for id_, record in vectors.FROZEN.items():
            self.assertEqual(BY_ID[id_]["record"], record, id_)

    def test_the_largest_values_seal_to_the_digests(self):
        for row in DATA["large"]:
            with self.subTest(row["id"]):
                record = self.sealed(row, vectors.counting(row["plaintext_len"]))
                self.assertEqual(len(record), row["record_len"])
                self.assertEqual(hashlib.sha256(record).hexdigest(), row["record_sha256"])

    def sealed(self, row, plaintext):
        key, ctx = unhex(row["key"]), ctx_of(row)
        self.assertEqual(ctx.hex(), row["ctx"])
        self.assertEqual(esr1.key_id(key, esr1.scope_of(ctx)).hex(), row["key_id"])
        record = esr1.seal(key, ctx, plaintext, row["padded"], unhex(row["salt"]))
        self.assertEqual(esr1.open_record(key, ctx, record), plaintext)
        return record

    def test_a_value_over_the_limit_is_not_sealed(self):
        for row in DATA["too_large"]:
            ctx = vectors.context_of(vectors.request()).encode()
            self.assertEqual(refusal(esr1.seal, vectors.KEY, ctx, bytes(row["plaintext_len"]), True), row["error"])

    def test_a_fresh_salt_makes_every_record_another(self):
        ctx = vectors.context_of(vectors.request()).encode()
        one, two = (esr1.seal(vectors.KEY, ctx, b"same", True) for _ in range(2))
        self.assertNotEqual(one[esr1.SALT_AT:], two[esr1.SALT_AT:])

    def test_every_negative_is_refused_for_its_reason(self):
        for row in DATA["negatives"]:
            for step, record in bytes_of(row, "record"):
                with self.subTest(row["id"], step=step):
                    self.assertEqual(refusal(esr1.open_record, unhex(row["key"]), ctx_of(row), record), row["error"])

    def test_the_sweeps_leave_nothing_out(self):
        for section, of, length in (("negatives", "V1", 166), ("wrapped_negatives", "W1", 159)):
            for op, want in (("flip", range(8 * length)), ("truncate", range(length)), ("append", range(1, 65))):
                sweeps = [row["mutation"] for row in DATA[section] if row.get("mutation", {}).get("op") == op]
                steps = [n for sweep in sweeps for n in range(sweep["from"], sweep["to"])]
                self.assertEqual({sweep["of"] for sweep in sweeps}, {of})
                self.assertEqual(sorted(steps), list(want), f"{op} of {of}")

    def test_only_the_commitment_or_key_id_stops_a_two_key_ciphertext(self):
        rows = [row for row in DATA["negatives"] if row["id"].startswith("two-key-")]
        self.assertEqual(len(rows), 7)
        for row in rows:
            with self.subTest(row["id"]):
                ctx, record = ctx_of(row), unhex(row["record"])
                record_key, _ = esr1.record_keys(unhex(row["key"]), ctx, record[22:54], record[:22])
                self.assertEqual(len(esr1.decrypt(record_key, ctx, record)), 32)

    def test_two_key_pairs_share_the_ciphertext(self):
        records = {row["id"]: row["record"] for row in DATA["negatives"] if row["id"].startswith("two-key-")}
        self.assertEqual(records["two-key-first"][44:], records["two-key-second"][44:])
        self.assertEqual(records["two-key-one-record-first"], records["two-key-one-record-second"])
        self.assertEqual(records["two-key-names-first"], records["two-key-names-second"])

    def test_a_two_name_ciphertext_opens_for_the_name_it_commits_to(self):
        row = next(row for row in DATA["negatives"] if row["id"] == "two-key-committed-name-second")
        ctx = vectors.context_of(vectors.request()).encode()
        value = esr1.open_record(unhex(row["key"]), ctx, unhex(row["record"]))
        self.assertTrue(value.startswith(b"first of 2 keys."))


class Contexts(unittest.TestCase):
    def test_every_bad_context_is_refused(self):
        for row in DATA["contexts"]:
            with self.subTest(row["id"]):
                ctx = unhex(row["ctx"])
                record = unhex(BY_ID["V1"]["record"])
                self.assertEqual(refusal(esr1.parse_context, ctx), row["error"])
                self.assertEqual(refusal(esr1.open_record, vectors.KEY, ctx, record), row["error"])

    def test_every_cut_of_a_context_is_refused(self):
        whole = unhex(BY_ID["V2"]["ctx"])
        for size in range(len(whole)):
            self.assertEqual(refusal(esr1.parse_context, whole[:size]), "bad_context", size)

    def test_no_space_and_an_empty_space_are_different_scopes(self):
        none, empty = (esr1.Scope(vectors.STORE, "us_env_prod", space).encode() for space in (None, ""))
        self.assertEqual(none[-5:].hex(), "0300000000")
        self.assertEqual(empty[-5:].hex(), "0400000000")
        self.assertNotEqual(esr1.key_id(vectors.KEY, none), esr1.key_id(vectors.KEY, empty))


class WrappedKeys(unittest.TestCase):
    def test_every_wrapped_key_wraps_to_its_bytes_and_unwraps_again(self):
        for row in DATA["wrapped"]:
            with self.subTest(row["id"]):
                root, scope, key = unhex(row["root"]), vectors.scope_of(row["scope"]), unhex(row["key"])
                wrapped = esr1.wrap_local(root, scope, row["generation"], key, unhex(row["salt"]))
                self.assertEqual(wrapped.hex(), row["wrapped"])
                self.assertEqual(wrapped[5:21].hex(), row["key_id"])
                self.assertEqual(wrapped[31:47].hex(), row["root_key_id"])
                self.assertEqual(esr1.unwrap_local(root, scope, row["generation"], wrapped), key)

    def test_a_locally_wrapped_key_holds_the_frozen_record(self):
        self.assertEqual(BY_ID["W1"]["wrapped"][50:], vectors.FROZEN["V5"])
        self.assertEqual(BY_ID["W1"]["key_id"], BY_ID["V2"]["key_id"])

    def test_every_negative_is_refused_for_its_reason(self):
        for row in DATA["wrapped_negatives"]:
            for step, wrapped in bytes_of(row, "wrapped"):
                with self.subTest(row["id"], step=step):
                    asked = unhex(row["root"]), vectors.scope_of(row["scope"]), row["generation"]
                    self.assertEqual(refusal(esr1.unwrap_local, *asked, wrapped), row["error"])

    def test_an_answer_is_only_accepted_if_it_is_the_key_expected(self):
        for row in DATA["unwrap_answers"]:
            with self.subTest(row["id"]):
                asked = unhex(row["answer"]), vectors.scope_of(row["scope"]), unhex(row["key_id"])
                self.assertEqual(refusal(esr1.check_scope_key, *asked), row["error"])


class File(unittest.TestCase):
    def test_ids_are_unique_and_errors_known(self):
        rows = [row for section in DATA.values() if isinstance(section, list) for row in section]
        self.assertEqual(len({row["id"] for row in rows}), len(rows))
        self.assertEqual({row["error"] for row in rows if row.get("error")}, {
            "too_short", "unsupported_format", "unsupported_suite", "unsupported_flags", "wrong_key",
            "commitment_mismatch", "decrypt_failed", "bad_padding", "value_too_long", "bad_context",
            "unsupported_provider", "wrong_generation", "bad_key_length", "zero_key",
        })

    def test_making_the_file_again_changes_nothing(self):
        self.assertEqual(publish.text_of(publish.sections()), publish.PATH.read_text(encoding="ascii"))


def unhex(text):
    return bytes.fromhex(text)


def ctx_of(row):
    return vectors.context_of(row["request"]).encode() if "request" in row else unhex(row["ctx"])


def bytes_of(row, field):
    """Every (step, bytes) of a negative vector: one for a given record, many for a sweep."""
    if field in row:
        return [(0, unhex(row[field]))]
    mutation = row["mutation"]
    base = unhex(BY_ID[mutation["of"]][field])
    if mutation["op"] == "keep":
        return [(0, base)]
    if mutation["op"] == "set":
        data, at = unhex(mutation["bytes"]), mutation["offset"]
        return [(0, base[:at] + data + base[at + len(data):])]
    steps = range(mutation["from"], mutation["to"])
    if mutation["op"] == "flip":
        return [(n, flipped(base, n)) for n in steps]
    if mutation["op"] == "truncate":
        return [(n, base[:n]) for n in steps]
    assert mutation["op"] == "append", mutation
    return [(n, base + n * unhex(mutation["byte"])) for n in steps]


def flipped(base, bit):
    changed = bytearray(base)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def refusal(function, *arguments):
    """The reason of a refusal; None if there was none."""
    try:
        function(*arguments)
    except esr1.Refused as refused:
        return refused.code
    return None


if __name__ == "__main__":
    unittest.main()
