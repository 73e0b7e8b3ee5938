"""What each role may do and what not, tried: a function under each role makes every call of a table.

The emulator evaluates the policies of roles and key (see strict_ministack.py), so this holds what
test_infra.py reads in the template against what the policies do.
"""

import base64
import io
import json
import sys
import zipfile

from aws_report import Failed, found

ACCOUNT = "000000000000"
ROLES = {"listener": "ListenerRole", "admin": "AdminApiRole", "maintenance": "MaintenanceRole"}

STORE_ID = "a5" * 16
OWN = {"esr:v": "1", "esr:store": STORE_ID, "esr:env": "dev", "esr:space": "sp_acme", "esr:gen": "1"}
ENVIRONMENT = OWN | {"esr:space": "-"}
OTHER = OWN | {"esr:env": "prod"}
STORE_KEY = OWN | {"esr:env": "-store-", "esr:space": "-"}
LATER_FORMAT = OWN | {"esr:v": "2"}
MORE_KEYS = OWN | {"esr:more": "1"}
NO_STORE = {key: value for key, value in OWN.items() if key != "esr:store"}

ITEM = {"pk": {"S": "probe"}, "sk": {"S": "probe"}}
KEY_OF_ROW = {"ExpressionAttributeValues": {":pk": {"S": "probe"}}, "KeyConditionExpression": "pk = :pk"}
SECRET = "undertone/probe"
OTHERS_SECRET = "somebody/else"

# What is called, with what; then who may, by the first letters of ROLES.
KEY = [
    ("kms.decrypt", OWN, "l m"),
    ("kms.decrypt", ENVIRONMENT, "l m"),
    ("kms.decrypt", OTHER, "m"),
    ("kms.decrypt", STORE_KEY, "l a m"),
    ("kms.decrypt", LATER_FORMAT, ""),
    ("kms.decrypt", MORE_KEYS, ""),
    ("kms.decrypt", NO_STORE, ""),
    ("kms.decrypt", {}, ""),
    ("kms.generate_data_key", OWN, "a m"),
    ("kms.generate_data_key", OTHER, "a m"),
    ("kms.generate_data_key", STORE_KEY, "a m"),
    ("kms.generate_data_key", MORE_KEYS, ""),
    ("kms.generate_data_key", {}, ""),
    ("kms.generate_data_key_without_plaintext", OWN, ""),
    ("kms.encrypt", OWN, ""),
    ("kms.create_grant", {}, ""),
    ("kms.put_key_policy", {}, ""),
    ("kms.schedule_key_deletion", {}, ""),
    ("kms.disable_key", {}, ""),
]
TABLES = [
    ("dynamodb.delete_item", "AuditTable", ""),
    ("dynamodb.update_item", "AuditTable", ""),
    ("dynamodb.scan", "AuditTable", ""),
    ("dynamodb.update_item", "IdempotencyTable", "l"),
    ("dynamodb.put_item", "IdempotencyTable", ""),
    ("dynamodb.delete_item", "IdempotencyTable", ""),
    ("dynamodb.get_item", "IdempotencyTable", ""),
    ("dynamodb.scan", "IdempotencyTable", ""),
    ("dynamodb.scan", "RowsTable", ""),
]
ROWS_IN_DYNAMODB = [
    ("dynamodb.get_item", "RowsTable", "l a m"),
    ("dynamodb.batch_get_item", "RowsTable", "l a m"),
    ("dynamodb.query", "RowsTable", "l a m"),
    ("dynamodb.put_item", "RowsTable", "a m"),
    ("dynamodb.delete_item", "RowsTable", "a m"),
    ("secretsmanager.get_secret_value", SECRET, ""),
    ("secretsmanager.put_secret_value", SECRET, ""),
    ("secretsmanager.list_secrets", None, ""),
]
ROWS_IN_SECRETS_MANAGER = [
    ("dynamodb.get_item", "RowsTable", ""),
    ("dynamodb.put_item", "RowsTable", ""),
    ("secretsmanager.get_secret_value", SECRET, "l a m"),
    ("secretsmanager.put_secret_value", SECRET, "a m"),
    ("secretsmanager.delete_secret", SECRET, ""),
    ("secretsmanager.get_secret_value", OTHERS_SECRET, ""),
    ("secretsmanager.put_secret_value", OTHERS_SECRET, ""),
    ("secretsmanager.list_secrets", None, "a m"),
]
ROWS = {"dynamodb": ROWS_IN_DYNAMODB, "secrets-manager": ROWS_IN_SECRETS_MANAGER}
AUDIT_IN_DYNAMODB = [("dynamodb.put_item", "AuditTable", "l a m"), ("dynamodb.query", "AuditTable", "l a m")]
AUDIT_IN_THE_LOG = [("dynamodb.put_item", "AuditTable", "a"), ("dynamodb.query", "AuditTable", "a")]
AUDIT = {"dynamodb": AUDIT_IN_DYNAMODB, "log": AUDIT_IN_THE_LOG}
QUEUES = [
    ("sqs.receive_message", "QueueUrl", "l"),
    ("sqs.send_message", "QueueUrl", ""),
    ("sqs.send_message", "UndeliveredQueueUrl", "l"),
    ("sqs.receive_message", "DeadLetterQueueUrl", ""),
    ("sqs.purge_queue", "QueueUrl", ""),
]


def try_the_powers(world):
    """what each role may do, and nothing more"""
    table = KEY + TABLES + ROWS[world.outputs["Store"]] + AUDIT[world.outputs["AuditTo"]] + QUEUES
    prepare_secrets(world)
    calls = [prepared(world, call, subject) for call, subject, _ in table]
    resources = world.client("cloudformation").describe_stack_resources(StackName=world.stack)["StackResources"]
    names = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    wrong = []
    for role, logical_id in ROLES.items():
        results = call_as(world, f"probe-{role}", names[logical_id], calls)
        for (call, subject, who), result in zip(table, results, strict=True):
            may, could = role[0] in who.split(), "AccessDenied" not in result
            # What is allowed must work: a call that fails for another reason shows nothing.
            if may != could or (may and result != "ok"):
                wrong.append(f"{role}: {call} {subject}: {result}, should be {'allowed' if may else 'denied'}")
    if wrong:
        raise Failed("\n  ".join(["roles with the wrong powers:", *wrong]))
    found(f"{len(table)} calls as each of {', '.join(ROLES)}: allowed and denied as the template says")


def prepare_secrets(world):
    secrets = world.client("secretsmanager")
    for name in SECRET, OTHERS_SECRET:
        secrets.create_secret(Name=name, SecretString="{}")


def prepared(world, call, subject):
    """The call's arguments, as JSON; bytes as base64 under a name of their own."""
    service, operation = call.split(".")
    if service == "kms":
        return [service, operation, key_arguments(world, operation, subject)]
    if service == "dynamodb":
        if operation == "batch_get_item":
            return [service, operation, {"RequestItems": {world.outputs[subject]: {"Keys": [ITEM]}}}]
        arguments = {"put_item": {"Item": ITEM}, "query": KEY_OF_ROW, "scan": {}}.get(operation, {"Key": ITEM})
        return [service, operation, {"TableName": world.outputs[subject]} | arguments]
    if service == "sqs":
        more = {"MessageBody": "{}"} if operation == "send_message" else {}
        return [service, operation, {"QueueUrl": world.outputs[subject]} | more]
    more = {"SecretString": "{}"} if operation == "put_secret_value" else {}
    return [service, operation, ({"SecretId": subject} if subject else {}) | more]


def key_arguments(world, operation, context):
    key = {"KeyId": world.outputs["KeyArn"]}
    if operation == "decrypt":
        # Made by the account's root, who stands above the policies in the emulator.
        made = world.client("kms").generate_data_key(**key, KeySpec="AES_256", EncryptionContext=context)
        return key | {"EncryptionContext": context, "CiphertextBlob.base64": encoded(made["CiphertextBlob"])}
    if operation.startswith("generate_data_key"):
        return key | {"KeySpec": "AES_256", "EncryptionContext": context}
    if operation == "encrypt":
        return key | {"EncryptionContext": context, "Plaintext.base64": encoded(b"probe")}
    if operation == "create_grant":
        return key | {"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root", "Operations": ["Decrypt"]}
    if operation == "put_key_policy":
        return key | {"Policy": "{}"}
    return key


def encoded(octets):
    return base64.b64encode(octets).decode()


def call_as(world, name, role, calls):
    """Runs the calls in a function under the role; `ok` or the error's code for each."""
    functions = world.client("lambda")
    functions.create_function(
        FunctionName=name, Role=f"arn:aws:iam::{ACCOUNT}:role/{role}", Runtime="provided.al2023",
        Handler="bootstrap", Timeout=60, Code={"ZipFile": zipped(PROBE)},
        Environment={"Variables": {"AWS_ENDPOINT_URL": world.endpoint}},
    )
    reply = functions.invoke(FunctionName=name, Payload=json.dumps(calls).encode())
    functions.delete_function(FunctionName=name)
    results = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise Failed(f"the function {name} failed: {results}")
    return results


def zipped(program):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, program)
    return out.getvalue()


PROBE = f"""#!{sys.executable}
import base64, json, os, urllib.request
import boto3

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"


def tried(service, operation, arguments):
    given = {{}}
    for name, value in arguments.items():
        plain = name.removesuffix(".base64")
        given[plain] = value if plain == name else base64.b64decode(value)
    try:
        getattr(boto3.client(service), operation)(**given)
    except Exception as error:
        return getattr(error, "response", {{}}).get("Error", {{}}).get("Code") or str(error)
    return "ok"


while True:
    with urllib.request.urlopen(API + "next") as event:
        calls, request = json.load(event), event.headers["lambda-runtime-aws-request-id"]
    results = json.dumps([tried(*call) for call in calls]).encode()
    urllib.request.urlopen(API + request + "/response", results).read()
"""
