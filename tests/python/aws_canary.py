"""Reads everything that was stored, and looks for values: as they are, as base64, as hex.

A scan that sees nothing proves nothing, so each is shown to find what must be there.
"""

import base64
import json
import os
import re
import urllib.request

from aws_report import demand, found

# What a text of base64 is made of; shorter ones hold no value.
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")


def read_everything(world):
    """every byte that AWS keeps, searched for the tokens and the channel"""
    places, control = {}, False
    for place, octets in everything(world):
        places[place] = places.get(place, 0) + len(octets)
        demand(not (hits := values_in(octets, world.values.all())), f"{place} holds {hits}")
        if place in ("rows", "secrets"):
            control |= b"SLACK_TOKEN" in octets
    demand(control, "the scan didn't even find the name SLACK_TOKEN")
    empty = [place for place in ("idempotency", "logs", "queues", "functions") if not places.get(place)]
    demand(not empty, f"there was nothing to read in {empty}")
    sizes = ", ".join(f"{place} {size}" for place, size in sorted(places.items()))
    found(f"no value in any encoding; bytes read: {sizes}")


def everything(world):
    """Pairs of a place and bytes that it keeps."""
    dynamodb = world.client("dynamodb")
    tables = {world.outputs[f"{name}Table"]: name.lower() for name in ("Rows", "Audit", "Idempotency")}
    for table, name in tables.items():
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            yield from ((name, octets) for item in page["Items"] for octets in leaves(item))
    secrets = world.client("secretsmanager")
    for secret in secrets.list_secrets(MaxResults=100, IncludePlannedDeletion=True)["SecretList"]:
        versions = secrets.list_secret_version_ids(SecretId=secret["ARN"], IncludeDeprecated=True)["Versions"]
        for version in versions:
            value = secrets.get_secret_value(SecretId=secret["ARN"], VersionId=version["VersionId"])
            yield "secrets", (value.get("SecretString") or "").encode() + value.get("SecretBinary", b"")
    logs = world.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        yield from (("logs", event["message"].encode()) for page in pages for event in page["events"])
    # Receiving would count as an attempt.
    with urllib.request.urlopen(f"{world.endpoint}/_ministack/sqs/messages", timeout=10) as reply:
        yield "queues", reply.read()
    for function in world.client("lambda").list_functions()["Functions"]:
        yield "functions", json.dumps(function, default=str).encode()


def leaves(value):
    """All texts and bytes inside an item of DynamoDB."""
    match value:
        case dict():
            for name, inner in value.items():
                yield name.encode()
                yield from leaves(inner)
        case list() | set() | tuple():
            for inner in value:
                yield from leaves(inner)
        case bytes():
            yield value
        case str():
            yield value.encode()


def read_the_disk(folder, values):
    """everything that emulator, functions and command line left on the disk"""
    files, octets, control = 0, 0, False
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                content = file.read()
            files, octets = files + 1, octets + len(content)
            control |= name in ("dynamodb.json", "secretsmanager.json") and b"SLACK_TOKEN" in content
            demand(not (hits := values_in(content, values)), f"{os.path.relpath(path, folder)} holds {hits}")
    demand(control, f"the emulator's state isn't among the {files} files")
    found(f"no value in any encoding in {files} files, {octets >> 20} MiB")


def values_in(content, values):
    """Which of the values the bytes hold, by their beginnings: as they are, as base64, as hex, and as
    base64 or hex inside of base64, which is how bytes are kept in JSON."""
    hits = {value for value in values if any(needle in content for needle in needles(value))}
    for text in BASE64.findall(content):
        inner = decoded(text)
        hits |= {value for value in values if any(needle in inner for needle in needles(value))}
    return sorted(value[:12] + "…" for value in hits)


def decoded(text):
    text = text.translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(text[: len(text) // 4 * 4])


def needles(value):
    octets = value.encode()
    yield octets
    yield octets[::-1]
    yield octets.hex().encode()
    yield octets.hex().upper().encode()
    yield value.encode("utf-16-le")
    for before in range(3):
        # Characters that hold bits of a neighbour are left out.
        first, last = (0, 2, 3)[before], (before + len(octets)) // 3 * 4
        text = base64.b64encode(b"\0" * before + octets)[first:last]
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))
