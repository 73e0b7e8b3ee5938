"""The scan for values finds them, however they are written."""

import base64
import json
import unittest

from aws_canary import leaves, values_in

VALUE = "xoxb-canary-0000-not-a-real-token"


class Canary(unittest.TestCase):
    def test_a_value_is_found_in_every_encoding_and_place(self):
        octets = VALUE.encode()
        for before in b"", b"a", b"ab", b"abc", b"abcd":
            inside = before + octets + b"~after"
            for name, text in [
                ("plain", inside),
                ("base64", base64.b64encode(inside)),
                ("base64url", base64.urlsafe_b64encode(inside)),
                ("hex", inside.hex().encode()),
                ("upper hex", inside.hex().upper().encode()),
                ("backwards", inside[::-1]),
                ("UTF-16", (before.decode() + VALUE).encode("utf-16-le")),
                ("base64 in base64", base64.b64encode(base64.b64encode(inside))),
                ("hex in base64", base64.b64encode(inside.hex().encode())),
                ("as the emulator keeps bytes", json.dumps({"__bytes__": base64.b64encode(inside).decode()}).encode()),
            ]:
                with self.subTest(name, before=before):
                    self.assertTrue(values_in(b'{"a":"' + text + b'"}', [VALUE]))
                    self.assertFalse(values_in(b'{"a":"' + text + b'"}', ["xoxb-canary-0000-another-token!!!"]))

    def test_nothing_in_an_item_is_left_out(self):
        item = {"pk": {"S": "a"}, "keys": {"L": [{"B": b"b"}]}, "set": {"BS": [b"c"]}, "map": {"M": {"d": {"S": "e"}}}}
        self.assertLessEqual({b"a", b"b", b"c", b"d", b"e"}, set(leaves(item)))


if __name__ == "__main__":
    unittest.main()
