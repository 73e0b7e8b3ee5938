"""What is shown on the emulator, step by step: each step takes the `World` of aws_local.py.

A step says what it found, or raises `Failed`.
"""

import json
import pathlib
import time
import urllib.error
import urllib.parse
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import aws_powers

EVENTS = pathlib.Path(__file__).resolve().parents[2] / "events"
ENVIRONMENT = "dev"

# Whose each token is, for Slack's stand-in.
TOKENS = {"xoxb-canary-0000-not-a-real-token": "dev"}


class Failed(Exception):
    """What the story expected and didn't find."""


def put_on_the_bus(world):
    """an event on the bus, and one of another Environment, which must pass by"""
    envelope = json.loads((EVENTS / "eventbridge.json").read_text())
    own = envelope["detail"]
    other = own | {"context": own["context"] | {"environmentId": "elsewhere"}}
    reply = world.client("events").put_events(Entries=[
        {
            "EventBusName": world.outputs["BusName"],
            "Source": envelope["source"],
            "DetailType": envelope["detail-type"],
            "Detail": json.dumps(event),
        }
        for event in (own, other)
    ])
    if reply["FailedEntryCount"]:
        raise Failed(f"the bus refused the event: {reply['Entries']}")


def put_on_the_queue(world):
    """a batch on the queue, one event of it poisoned"""
    sqs = world.client("sqs")
    # What failed is tried again after this time: not after the template's three minutes here.
    sqs.set_queue_attributes(QueueUrl=world.outputs["QueueUrl"], Attributes={"VisibilityTimeout": "3"})
    batch = json.loads((EVENTS / "sqs-batch.json").read_text())
    reply = sqs.send_message_batch(
        QueueUrl=world.outputs["QueueUrl"],
        Entries=[{"Id": str(index), "MessageBody": record["body"]} for index, record in enumerate(batch["Records"])],
    )
    if reply.get("Failed"):
        raise Failed(f"the queue refused events: {reply['Failed']}")


def call_the_url(world):
    """an event to the function's URL: refused unsigned, taken signed"""
    body = json.loads((EVENTS / "function-url.json").read_text())["body"].encode()
    if (status := status_of(world, body, {})) != 403:
        raise Failed(f"an unsigned call got {status}, not 403")
    request = AWSRequest("POST", world.outputs["ListenerUrl"], {"content-type": "application/json"}, body)
    SigV4Auth(Credentials("test", "test"), "lambda", "us-east-1").add_auth(request)
    if (status := status_of(world, body, dict(request.headers))) // 100 != 2:
        raise Failed(f"a signed call got {status}")


def status_of(world, body, headers):
    """Calls the URL at the emulator, which knows it by its host."""
    host = urllib.parse.urlsplit(world.outputs["ListenerUrl"]).netloc
    request = urllib.request.Request(world.endpoint, body, headers | {"host": host})
    try:
        with urllib.request.urlopen(request, timeout=35) as reply:
            return reply.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def check_the_dead_letters(world):
    """the poisoned event, and nothing else, is in the dead-letter queue"""
    batch = json.loads((EVENTS / "sqs-batch.json").read_text())
    wanted = sorted(record["body"] for record in batch["Records"] if not is_json(record["body"]))
    sqs = world.client("sqs")
    found = []

    def arrived():
        reply = sqs.receive_message(QueueUrl=world.outputs["DeadLetterQueueUrl"], MaxNumberOfMessages=10)
        found.extend(message["Body"] for message in reply.get("Messages", []))
        return len(wanted) <= len(found)

    wait_for("the dead letter", arrived, lambda: found)
    if sorted(found) != wanted:
        raise Failed(f"the dead-letter queue has {found}, not {wanted}")
    for body in found:
        print(f"   {body}")


def show_what_slack_received(world):
    """what Slack received: every good event, once"""
    received = world.slack.received
    batch = json.loads((EVENTS / "sqs-batch.json").read_text())
    # The bus and the URL brought one each.
    wanted = 2 + sum(is_json(record["body"]) for record in batch["Records"])
    wait_for("the posts", lambda: wanted <= len(received), lambda: received)
    for post in received:
        print(f"   token of {post.token_of}, channel {post.channel}: {post.text}")
    # The poisoned event was tried several times by now, and the rest of its batch not again.
    if len(received) != wanted or world.slack.refused:
        raise Failed(f"{len(received)} posts where {wanted} were due; refused: {world.slack.refused}")


# Seeding by the command line goes before the first event: an Environment, Spaces and secrets.
STEPS = [
    put_on_the_bus,
    put_on_the_queue,
    call_the_url,
    check_the_dead_letters,
    show_what_slack_received,
    # Last: it leaves probes in the tables.
    aws_powers.try_the_powers,
]


def is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def wait_for(what, arrived, seen, seconds=60):
    end = time.monotonic() + seconds
    while not arrived():
        if end < time.monotonic():
            raise Failed(f"{what} didn't come within {seconds} seconds; so far: {seen()}")
        time.sleep(0.2)
