"""Holds the ready-made events to the shapes that their senders use."""

import base64
import hashlib
import json
import pathlib
import unittest

EVENTS = pathlib.Path(__file__).resolve().parents[2] / "events"


def read(name):
    return json.loads((EVENTS / name).read_text(encoding="utf-8"))


def native_events(name):
    """The native events inside one of the files, as texts or objects; what can't be parsed as None."""
    event = read(name)
    match event:
        case {"Records": records}:
            return [parsed(record["body"]) for record in records]
        case {"detail": detail}:
            return [detail]
        case {"isBase64Encoded": True, "body": body}:
            return [parsed(base64.b64decode(body, validate=True))]
        case {"isBase64Encoded": False, "body": body}:
            return [parsed(body)]
    return [event]


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


class Events(unittest.TestCase):
    def test_every_file_carries_native_events_for_the_example_listener(self):
        for name, count, broken in [
            ("job-completed.json", 1, 0),
            ("sqs-batch.json", 3, 1),
            ("eventbridge.json", 1, 0),
            ("function-url.json", 1, 0),
            ("api-gateway-v2.json", 1, 0),
            ("api-gateway-v1.json", 1, 0),
        ]:
            with self.subTest(name):
                events = native_events(name)
                good = [event for event in events if event is not None]
                self.assertEqual((len(events), len(events) - len(good)), (count, broken))
                for event in good:
                    self.assertEqual(event.keys(), {"id", "topic", "context", "payload"})
                    self.assertEqual(event["topic"], "job:completed")
                    self.assertEqual(event["context"], {"environmentId": "dev", "spaceId": "sp_acme"})

    def test_no_file_is_left_out_and_no_id_is_used_twice(self):
        names = sorted(path.name for path in EVENTS.iterdir())
        ids = [event["id"] for name in names for event in native_events(name) if event is not None]
        self.assertEqual(len(names), 6)
        self.assertEqual(len(set(ids)), len(ids))

    def test_digests_of_queued_bodies_are_right(self):
        for record in read("sqs-batch.json")["Records"]:
            self.assertEqual(hashlib.md5(record["body"].encode()).hexdigest(), record["md5OfBody"])

    def test_one_body_is_base64(self):
        names = ["function-url.json", "api-gateway-v1.json", "api-gateway-v2.json"]
        self.assertEqual([read(name)["isBase64Encoded"] for name in names], [False, False, True])
