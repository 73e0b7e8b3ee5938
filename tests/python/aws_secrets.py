"""What the command line does in the story: each step takes the `World` of aws_local.py.

`undertone` runs under the role of the template that writes secrets and can't read them.
"""

import json
import secrets
import shlex
import subprocess
import time
import urllib.parse

from aws_events import ENVIRONMENT, log_of_the_listener, send_to_the_url
from aws_report import Failed, demand, found, shown

INHERITS, OVERRIDES, BLOCKS = "sp_acme", "sp_globex", "sp_initech"


class Values:
    """New ones for each run: nothing in a program or a template can look like them by chance."""

    def __init__(self):
        self.shared = made_up("xoxb-canary-shared")
        self.own = made_up("xoxb-canary-globex")
        self.rotated = made_up("xoxb-canary-rotated")
        self.channel = made_up("C0CANARY")

    def owners(self):
        """For Slack's stand-in: whose each token is."""
        return {self.shared: ENVIRONMENT, self.own: OVERRIDES, self.rotated: f"{ENVIRONMENT}, rotated"}

    def all(self):
        return [self.shared, self.own, self.rotated, self.channel]


def made_up(beginning):
    return f"{beginning}-{secrets.token_hex(12)}"


def seed(world):
    """an Environment, three Spaces and their secrets, by the command line under the admin role"""
    outputs = world.outputs
    undertone(world, "init", "--store", outputs["Store"], "--kms-key", outputs["KeyArn"], "--table",
              outputs["RowsTable"], "--audit-table", outputs["AuditTable"], "--prefix", outputs["Prefix"])
    # Slack's stand-in speaks plain HTTP on loopback: only a development Environment lets a secret go there.
    undertone(world, "env", "create", ENVIRONMENT, "--development")
    for space in INHERITS, OVERRIDES, BLOCKS:
        undertone(world, "space", "create", space, "--env", ENVIRONMENT)
    values = world.values
    set_secret(world, "SLACK_TOKEN", values.shared, "--env", ENVIRONMENT)
    set_secret(world, "SLACK_CHANNEL", values.channel, "--env", ENVIRONMENT)
    set_secret(world, "SLACK_TOKEN", values.own, "--env", ENVIRONMENT, "--space", OVERRIDES)
    undertone(world, "secrets", "block", "SLACK_TOKEN", "--env", ENVIRONMENT, "--space", BLOCKS)
    found(f"{INHERITS} inherits the token, {OVERRIDES} has its own, {BLOCKS} blocks it")


def check_the_deployment(world):
    """does every Space have what the listener declares?"""
    program = str(world.code / "slack-notifier" / "bootstrap")
    undertone(world, "deploy", "check", "--env", ENVIRONMENT, "--space", INHERITS, "--", program)
    said = undertone(world, "deploy", "check", "--env", ENVIRONMENT, "--", program, expected=3)
    demand(BLOCKS in said and INHERITS not in said and OVERRIDES not in said, f"the gaps are others: {said}")
    shown(said)
    found(f"only {BLOCKS} lacks something: its block is found before an event finds it")
    doctor = json.loads(undertone(world, "doctor", "--json"))
    demand([check["status"] for check in doctor["checks"]] == ["ok", "ok", "ok"], f"not well: {doctor['checks']}")
    demand(doctor["unopened"] == doctor["records"] == 4 and not doctor["damaged"], f"records: {doctor}")
    found("store, key and audit log are well; the admin role opens none of the 4 records")


def rotate(world):
    """a rotation reaches the next events without a deployment"""
    slack = world.slack
    before = len(slack.received)
    send_to_the_url(world, event_id="evt_before_rotation")
    demand(slack.received[before].token_of == ENVIRONMENT, f"the token before was {slack.received[before]}")
    set_secret(world, "SLACK_TOKEN", world.values.rotated, "--env", ENVIRONMENT)
    began = time.monotonic()
    for attempt in range(60):
        send_to_the_url(world, event_id=f"evt_rotation_{attempt}")
        if slack.received[-1].token_of == f"{ENVIRONMENT}, rotated":
            break
        time.sleep(0.3)
    else:
        raise Failed(f"after 60 events Slack still got the token of {slack.received[-1].token_of}")
    took = time.monotonic() - began
    # The store is asked at most five seconds after it was asked last; the rest is this machine.
    demand(took < 15, f"the rotation arrived after {took:.1f} s")
    send_to_the_url(world, event_id="evt_after_rotation")
    demand(slack.received[-1].token_of == f"{ENVIRONMENT}, rotated", "the old token came back")
    found(f"event {attempt + 1}, {took:.1f} s after `secrets set`, came with the new token")


def compact_keys(world):
    """maintenance: each run of the command line made a key of its own; two runs leave one for each scope"""
    counts = [keys(world)]
    for run in "first", "second":
        reply = world.client("lambda").invoke(FunctionName=world.outputs["MaintenanceFunction"], Payload=b"{}")
        done = json.loads(reply["Payload"].read())
        demand("FunctionError" not in reply, f"maintenance failed: {done}")
        demand(done["whole"] and not done["failed"], f"the {run} run wasn't through: {done}")
        counts.append(keys(world))
        shown(f"{run} run: {done['resealed']} records sealed anew, {done['retired']} keys destroyed")
    shown(f"keys of {', '.join(counts[0])}: " + " → ".join("/".join(map(str, c.values())) for c in counts))
    demand(max(counts[0].values()) > 1, "there was nothing to compact")
    demand(max(counts[-1].values()) == 1, "a scope has more than one key after two runs")
    send_to_the_url(world, event_id="evt_after_maintenance")
    found("one key for each scope, and the next event resolves under it")


def read_the_audit_log(world):
    """every use is in the audit log, and its chains hold"""
    rows = [json.loads(line) for line in undertone(world, "audit", "tail", "-n", "1000", "--json").splitlines()]
    if world.outputs["AuditTo"] == "log":
        # The command line's rows are in the table all the same.
        rows += [line["audit"] for line in log_of_the_listener(world) if "audit" in line]
    uses = [row for row in rows if row["action"] == "secret.use" and row["name"] == "SLACK_TOKEN"]
    events = [row["actor"]["event"] for row in uses if row["outcome"] == "allowed"]
    posts = len(world.slack.received)
    demand(len(events) == len(set(events)) == posts, f"{len(events)} uses in the log of {posts} posts: {events}")
    shown(undertone(world, "audit", "tail", "-n", "5", "--name", "SLACK_TOKEN"))
    found(f"{posts} uses of SLACK_TOKEN for {posts} posts, each of another event")
    refused = {row["actor"]["event"] for row in rows if row["outcome"] == "refused"}
    demand(refused == {"evt_queue_initech"}, f"refused were {refused}, not evt_queue_initech")
    found(f"what was refused is there too: the event of {BLOCKS}")
    chains = json.loads(undertone(world, "audit", "verify", "--json"))["chains"]
    demand(all(chain["intact"] for chain in chains), f"a chain is broken: {chains}")
    found(f"{sum(chain['rows'] for chain in chains)} rows in the chains of {len(chains)} writers verify")


# ── How ─────────────────────────────────────────────────────────────────────────────────────────────


def set_secret(world, name, value, *where):
    host = urllib.parse.urlsplit(world.slack.url).netloc
    undertone(world, "secrets", "set", name, *where, "--host", host, value=value)


def undertone(world, *arguments, value=None, expected=0):
    """Runs the command line and gives what it printed. The value comes on standard input."""
    command = shlex.join(["undertone", *arguments])
    print(f"   $ {command.replace(str(world.root) + '/', '')}", flush=True)
    done = subprocess.run([world.cli, *arguments], env=world.environment_of_admin(), input=(value or "").encode(),
                          capture_output=True, cwd=world.scratch, timeout=120)
    if done.returncode != expected:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise Failed(f"`{command}` ended with {done.returncode}, not {expected}:\n{said}")
    return done.stdout.decode()


def keys(world):
    """How many keys each scope has, read past Undertone."""
    if world.outputs["Store"] == "dynamodb":
        pages = world.client("dynamodb").get_paginator("scan").paginate(TableName=world.outputs["RowsTable"])
        heads = [item for page in pages for item in page["Items"] if item["sk"]["S"] == "head"]
        counts = {head["pk"]["S"].removeprefix("S#").replace("#", "/"): len(head["keys"]["L"]) for head in heads}
    else:
        client, prefix = world.client("secretsmanager"), world.outputs["Prefix"] + "/"
        names = [secret["Name"] for secret in client.list_secrets(MaxResults=100)["SecretList"]]
        scopes = [name for name in names if name.startswith(f"{prefix}{ENVIRONMENT}")]
        documents = {name: client.get_secret_value(SecretId=name)["SecretString"] for name in scopes}
        counts = {name.removeprefix(prefix): len(json.loads(text)["keys"]) for name, text in documents.items()}
    return dict(sorted(counts.items()))
