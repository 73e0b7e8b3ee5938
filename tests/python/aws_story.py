"""What is shown on the emulator, step by step: each step takes the `World` of aws_local.py.

A step says what it found, or raises `Failed`.
"""

import json
from collections import Counter

import aws_canary
import aws_powers
from aws_events import (
    ENVIRONMENT,
    call_url,
    job_completed,
    log_of_the_listener,
    ready_made,
    send_to_the_bus,
    send_to_the_queue,
    send_to_the_url,
)
from aws_report import demand, found, shown, wait_for
from aws_secrets import (
    BLOCKS,
    INHERITS,
    OVERRIDES,
    check_the_deployment,
    compact_keys,
    read_the_audit_log,
    rotate,
    seed,
)

# As events/sqs-batch.json has them.
POISONED = ready_made("sqs-batch.json")["Records"][1]["body"]
TWICE = json.dumps(job_completed("evt_queue_twice", INHERITS, "import"))
OVERRIDING = json.dumps(job_completed("evt_queue_globex", OVERRIDES, "export"))
BLOCKED = json.dumps(job_completed("evt_queue_initech", BLOCKS, "import"))
# Of the bus, the queue and the URL; whose token each brings to Slack.
WANTED = Counter({(ENVIRONMENT, "`backup` is complete"): 1, (ENVIRONMENT, "`import` is complete"): 2,
                  (OVERRIDES, "`export` is complete"): 1})


def put_on_the_bus(world):
    """an event on the bus, and one of another Environment, which must pass by"""
    own = ready_made("eventbridge.json")["detail"]
    other = own | {"id": "evt_of_others", "context": own["context"] | {"environmentId": "elsewhere"}}
    send_to_the_bus(world, [own, other])
    wait_for("the post", lambda: world.slack.received, lambda: world.slack.received)
    found("one event arrived at Slack")


def put_on_the_queue(world):
    """a batch on the queue: two good events, one of them twice, one poisoned, one of the Space that blocks"""
    send_to_the_queue(world, [TWICE, OVERRIDING, POISONED, TWICE, BLOCKED])
    shown("evt_queue_twice, evt_queue_globex, half an event, evt_queue_twice again, evt_queue_initech")


def call_the_url(world):
    """an event to the function's URL: refused unsigned, taken signed, answered as before the second time"""
    body = json.dumps(job_completed("evt_url", INHERITS, "import")).encode()
    status, _, _ = call_url(world, body, {})
    demand(status == 403, f"an unsigned call got {status}, not 403")
    demand(not send_to_the_url(world, "evt_url"), "the first call was answered as if it were a second one")
    demand(send_to_the_url(world, "evt_url"), "the second call wasn't answered from the idempotency table")
    found("403 unsigned, 200 signed, and 200 with `idempotency-replayed: true` for the same event again")


def check_the_dead_letters(world):
    """what can't succeed ends in the dead-letter queue, and nothing else does"""
    wanted = sorted([POISONED, BLOCKED])
    sqs, letters = world.client("sqs"), []

    def arrived():
        reply = sqs.receive_message(QueueUrl=world.outputs["DeadLetterQueueUrl"], MaxNumberOfMessages=10,
                                    VisibilityTimeout=300)
        letters.extend(message["Body"] for message in reply.get("Messages", []))
        return len(wanted) <= len(letters)

    wait_for("the dead letters", arrived, lambda: letters)
    for body in letters:
        shown(body)
    demand(sorted(letters) == wanted, f"the dead-letter queue has {letters}, not {wanted}")
    found("the poisoned event, and the one whose Space blocks the token: both after three attempts")
    left = sqs.get_queue_attributes(QueueUrl=world.outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
    demand(left["ApproximateNumberOfMessages"] == "0", f"the queue still has messages: {left}")
    undelivered = sqs.receive_message(QueueUrl=world.outputs["UndeliveredQueueUrl"]).get("Messages", [])
    demand(not undelivered, f"the bus couldn't deliver: {undelivered}")
    found("nothing is left in the queue, and the bus has delivered everything")


def check_what_slack_received(world):
    """what Slack received: every good event once, with the right token"""
    for post in world.slack.received:
        channel = "the channel" if post.channel == world.values.channel else "ANOTHER CHANNEL"
        shown(f"token of {post.token_of}, {channel}: {post.text}")
        demand(post.channel == world.values.channel, "a post went to another channel")
    # The events that failed were tried three times by now, and the rest of their batch not again.
    received = Counter((post.token_of, post.text) for post in world.slack.received)
    demand(received == WANTED, f"due were {dict(WANTED)}")
    demand(not world.slack.refused, f"Slack refused calls: {world.slack.refused}")
    found("each event once; the shared token for who inherits, its own for who overrides, none for who blocks")


def read_the_logs(world):
    """the function's log: one line of JSON for each event, with metrics in it"""
    wanted = {"evt_bus_1": 1, "evt_queue_twice": 2, "evt_queue_globex": 1, "evt_queue_initech": 3, "evt_url": 2}

    def arrived():
        lines = accounts(world)
        return lines if len(lines) >= sum(wanted.values()) + 3 else None

    lines = wait_for("the log", arrived, lambda: accounts(world))
    counts = Counter(line.get("event") for line in lines)
    # The poisoned one has no id; each of its three attempts has the message's.
    broken = [line for line in lines if "event" not in line]
    demand(len({line["messageId"] for line in broken}) == 1, f"lines without an event: {broken}")
    # An event that comes while it is handled is put back, and answered from the table later.
    demand(counts.pop("evt_queue_twice") >= wanted.pop("evt_queue_twice"), "evt_queue_twice wasn't seen twice")
    demand(counts == Counter(wanted | {None: 3}), f"lines: {dict(counts)}, not {wanted} and 3 without an event")
    for line in lines:
        metrics = line["_aws"]["CloudWatchMetrics"][0]
        demand(metrics["Namespace"] == "Undertone" and line["Events"] == 1.0, f"no metrics: {line}")
    replays = [line["event"] for line in lines if line["replayed"]]
    demand(sorted(replays) == ["evt_queue_twice", "evt_url"], f"replayed: {replays}")
    example = next(line for line in lines if line.get("event") == "evt_queue_globex")
    shown(json.dumps({name: value for name, value in example.items() if name != "_aws"}))
    found(f"{len(lines)} lines for {len(lines)} deliveries, each with metrics; both duplicates are marked as replayed")


def accounts(world):
    """The lines that account for events."""
    return [line for line in log_of_the_listener(world) if "_aws" in line]


def tear_down(world):
    """the stack is deleted; what can't be made again stays"""
    stacks = world.client("cloudformation")
    stacks.delete_stack(StackName=world.stack)

    def gone():
        # Under its name it isn't found any more.
        stacks_left = stacks.list_stacks(StackStatusFilter=["CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED"])
        return world.stack not in {stack["StackName"] for stack in stacks_left["StackSummaries"]}

    wait_for("the end of the stack", gone, lambda: stacks.list_stacks()["StackSummaries"])
    demand(not world.client("lambda").list_functions()["Functions"], "functions are left")
    demand(not world.client("sqs").list_queues().get("QueueUrls"), "queues are left")
    tables = {world.outputs["RowsTable"], world.outputs["AuditTable"]}
    demand(set(world.client("dynamodb").list_tables()["TableNames"]) == tables, "not these tables are left")
    key = world.client("kms").describe_key(KeyId=world.outputs["KeyArn"])["KeyMetadata"]
    demand(key["KeyState"] == "Enabled", f"the key is {key['KeyState']}")
    found("functions and queues are gone; the key and the tables of rows and audit are there")


STEPS = [
    seed,
    check_the_deployment,
    put_on_the_bus,
    put_on_the_queue,
    call_the_url,
    check_the_dead_letters,
    check_what_slack_received,
    read_the_logs,
    rotate,
    compact_keys,
    read_the_audit_log,
    aws_canary.read_everything,
    # Last: it leaves probes in the tables.
    aws_powers.try_the_powers,
    tear_down,
]
