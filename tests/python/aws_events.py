"""How events get into the stack in the story, by bus, queue and URL, and what its function says about them."""

import json
import pathlib
import urllib.error
import urllib.parse
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws_report import demand

EVENTS = pathlib.Path(__file__).resolve().parents[2] / "events"
ENVIRONMENT = "dev"


def ready_made(name):
    return json.loads((EVENTS / name).read_text())


def job_completed(event_id, space, job):
    """As events/job-completed.json, of another Space."""
    event = ready_made("job-completed.json")
    event["id"], event["context"]["spaceId"], event["payload"]["job"] = event_id, space, job
    return event


def send_to_the_bus(world, events):
    envelope = ready_made("eventbridge.json")
    reply = world.client("events").put_events(Entries=[
        {
            "EventBusName": world.outputs["BusName"],
            "Source": envelope["source"],
            "DetailType": envelope["detail-type"],
            "Detail": json.dumps(event),
        }
        for event in events
    ])
    demand(not reply["FailedEntryCount"], f"the bus refused events: {reply['Entries']}")


def send_to_the_queue(world, bodies):
    sqs, url = world.client("sqs"), world.outputs["QueueUrl"]
    # What failed is tried again after this time: not after the template's three minutes here.
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "3"})
    entries = [{"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)]
    reply = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    demand(not reply.get("Failed"), f"the queue refused events: {reply.get('Failed')}")


def send_to_the_url(world, event_id, space="sp_acme"):
    """Sends an event that must be handled, and tells whether the answer was an earlier one's."""
    body = json.dumps(job_completed(event_id, space, "import")).encode()
    request = AWSRequest("POST", world.outputs["ListenerUrl"], {"content-type": "application/json"}, body)
    SigV4Auth(Credentials("test", "test"), "lambda", "us-east-1").add_auth(request)
    status, headers, answer = call_url(world, body, dict(request.headers))
    demand(status == 200, f"the event {event_id} got {status}: {answer}")
    return headers.get("idempotency-replayed") == "true"


def call_url(world, body, headers):
    """Calls the URL at the emulator, which knows it by its host."""
    host = urllib.parse.urlsplit(world.outputs["ListenerUrl"]).netloc
    request = urllib.request.Request(world.endpoint, body, headers | {"host": host})
    try:
        with urllib.request.urlopen(request, timeout=35) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers, refusal.read()


def log_of_the_listener(world):
    """Its lines, which must all be JSON."""
    group = f"/aws/lambda/{world.outputs['ListenerFunction']}"
    pages = world.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    texts = [line for page in pages for event in page["events"] for line in event["message"].splitlines()]
    of_lambda = ("START ", "END ", "REPORT ", "INIT_START ")
    return [json.loads(text) for text in texts if text.strip() and not text.startswith(of_lambda)]
