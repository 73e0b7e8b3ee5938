"""What infra/template.yaml must keep to, whoever changes it: each rule gives the list of what breaks it.

A rule sees the template with its conditions decided (see cloudformation.py).
"""

import fnmatch

from cloudformation import listed, references, resources

STORE_KEY = "-store-"
CONTEXT_KEYS = ["esr:v", "esr:store", "esr:env", "esr:space", "esr:gen"]
ENVIRONMENT_OF = "kms:EncryptionContext:esr:env"
USES_OF_KEY = ["kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
# What would let somebody use the key beside those: in no policy at all.
OTHER_USES_OF_KEY = [
    "kms:CreateGrant",
    "kms:Encrypt",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
]
READS_OF_ROWS = {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem"}
READS_OF_SECRETS = {"secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"}

# Actions that may be granted on "*", because AWS takes nothing else for them.
ON_ALL_RESOURCES = {
    "secretsmanager:BatchGetSecretValue": "returns nothing without GetSecretValue on the secret itself",
    "secretsmanager:ListSecrets": "shows names, no values",
}
PREFIX = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${Prefix}/*"

VARIABLES = {
    "UNDERTONE_STORE",
    "UNDERTONE_TABLE",
    "UNDERTONE_PREFIX",
    "UNDERTONE_KMS_KEY",
    "UNDERTONE_AUDIT",
    "UNDERTONE_AUDIT_TABLE",
    "UNDERTONE_IDEMPOTENCY_TABLE",
    "UNDERTONE_LOG",
}


# ── Roles ───────────────────────────────────────────────────────────────────────────────────────────


def only_maintenance_has_both_key_powers(template):
    for role, statements in statements_of_roles(template):
        opens, seals = (beyond_the_store_key(statements, power) for power in ("kms:Decrypt", "kms:GenerateDataKey"))
        if opens and seals and role != "MaintenanceRole":
            yield f"{role} may both Decrypt and GenerateDataKey beyond the store key"
        if role != "MaintenanceRole" and any(allows(s, "kms:ReEncryptFrom") for s in statements):
            yield f"{role} may ReEncrypt"


def the_listener_opens_its_environment_only(template):
    for statement in dict(statements_of_roles(template))["ListenerRole"]:
        if allows(statement, "kms:Decrypt"):
            scope = environments_of(statement)
            if scope is None or not all(one in ({"Ref": "Environment"}, STORE_KEY) for one in scope):
                yield f"ListenerRole may Decrypt in {scope or 'every Environment'}"


def the_listener_writes_no_rows(template):
    for statement in dict(statements_of_roles(template))["ListenerRole"]:
        for action in listed(statement["Action"]):
            if "RowsTable" in references(statement["Resource"]) and action not in READS_OF_ROWS:
                yield f"ListenerRole may {action} on RowsTable"
            if action.startswith("secretsmanager:") and action not in READS_OF_SECRETS:
                yield f"ListenerRole may {action}"


def the_admin_api_reads_no_values(template):
    if beyond_the_store_key(dict(statements_of_roles(template))["AdminApiRole"], "kms:Decrypt"):
        yield "AdminApiRole may Decrypt beyond the store key"


def nobody_deletes_audit_rows(template):
    for role, statements in statements_of_roles(template):
        for statement in statements:
            for action in "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteTable":
                if allows(statement, action) and "AuditTable" in references(statement["Resource"]):
                    yield f"{role} may {action} on AuditTable"


def rights_are_exact(template):
    """Actions are written out, and resources are ARNs but where AWS takes only "*"."""
    for role, statements in statements_of_roles(template):
        for statement in statements:
            if statement["Effect"] != "Allow" or {"NotAction", "NotResource"} & statement.keys():
                yield f"{role} has a statement that doesn't plainly allow something"
                continue
            actions = listed(statement["Action"])
            for action in actions:
                if "*" in action:
                    yield f"{role} may {action}"
            for resource in listed(statement["Resource"]):
                if resource == "*":
                    yield from (f"{role} may {a} on all resources" for a in actions if a not in ON_ALL_RESOURCES)
                elif "*" in str(resource) and resource != {"Fn::Sub": PREFIX}:
                    yield f"{role} has rights on {resource}"


def roles_are_written_out_and_not_shared(template):
    """No policy comes from elsewhere: what the other rules read is all there is."""
    users = {}
    for name, function in resources(template, "AWS::Serverless::Function").items():
        users.setdefault(str(function.get("Role")), []).append(name)
        if "Policies" in function:
            yield f"{name} has policies beside its role"
    yield from (f"{' and '.join(names)} share a role" for names in users.values() if 1 < len(names))
    yield from ("a function has no role of ours" for role in users if "GetAtt" not in role)
    for name, role in resources(template, "AWS::IAM::Role").items():
        if "ManagedPolicyArns" in role:
            yield f"{name} has managed policies"
    for type_ in "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy":
        yield from (f"{name} is a policy beside its role" for name in resources(template, type_))


def only_lambda_takes_on_the_roles(template):
    for name, role in resources(template, "AWS::IAM::Role").items():
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            by_people = name == "AdminApiRole" and statement["Principal"] == {"AWS": {"Ref": "AdminPrincipalArns"}}
            if statement["Principal"] != {"Service": "lambda.amazonaws.com"} and not by_people:
                yield f"{name} may be taken on by {statement['Principal']}"


# ── The key ─────────────────────────────────────────────────────────────────────────────────────────


def the_key_rotates(template):
    for name, key in resources(template, "AWS::KMS::Key").items():
        if key.get("EnableKeyRotation") is not True:
            yield f"{name} doesn't rotate"


def the_key_demands_the_context(template):
    for name, key in resources(template, "AWS::KMS::Key").items():
        for statement in key["KeyPolicy"]["Statement"]:
            if statement["Principal"] != {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}:
                yield f"{name} is open to {statement['Principal']}"
            yield from (f"{name} allows {use}" for use in OTHER_USES_OF_KEY if allows(statement, use))
            if any(allows(statement, use) for use in USES_OF_KEY):
                yield from (f"{name}: {what}" for what in missing_conditions(statement.get("Condition", {})))


def missing_conditions(condition):
    equal, present = condition.get("StringEquals", {}), condition.get("Null", {})
    if equal.get("kms:EncryptionContext:esr:v") != "1":
        yield "esr:v needn't be 1"
    for key in CONTEXT_KEYS[1:]:
        if present.get(f"kms:EncryptionContext:{key}") != "false":
            yield f"{key} may be missing"
    if condition.get("ForAllValues:StringEquals", {}).get("kms:EncryptionContextKeys") != CONTEXT_KEYS:
        yield "the context may have more keys"


# ── Data, queues, logs ──────────────────────────────────────────────────────────────────────────────


def tables_can_be_restored(template):
    for name, table in resources(template, "AWS::DynamoDB::Table").items():
        if table.get("PointInTimeRecoverySpecification") != {"PointInTimeRecoveryEnabled": True}:
            yield f"{name} has no point-in-time recovery"
        if not table.get("SSESpecification", {}).get("SSEEnabled"):
            yield f"{name} isn't encrypted under a key that the account sees"


def what_cannot_be_made_again_outlives_the_stack(template):
    for name in "Key", "RowsTable", "AuditTable":
        resource = template["Resources"][name]
        if not resource.get("DeletionPolicy", "Delete").startswith("Retain"):
            yield f"{name} goes with the stack"
        if resource.get("UpdateReplacePolicy") != "Retain":
            yield f"{name} goes when it is replaced"
    for name in "RowsTable", "AuditTable":
        if template["Resources"][name]["Properties"].get("DeletionProtectionEnabled") != {"Ref": "DeletionProtection"}:
            yield f"{name} isn't protected from deletion"


def queues_take_tls_only(template):
    refusing = set()
    for policy in resources(template, "AWS::SQS::QueuePolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "sqs:*"):
                if statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}:
                    refusing |= references(statement["Resource"]) & references(policy["Queues"])
    yield from (f"{name} takes messages without TLS" for name in resources(template, "AWS::SQS::Queue")
                if name not in refusing)


def queues_are_encrypted(template):
    for name, queue in resources(template, "AWS::SQS::Queue").items():
        if queue.get("SqsManagedSseEnabled") is not True:
            yield f"{name} isn't encrypted"


def queues_leave_time_and_lose_nothing(template):
    queues, timeout = resources(template, "AWS::SQS::Queue"), template["Globals"]["Function"]["Timeout"]
    for name, source in resources(template, "AWS::Lambda::EventSourceMapping").items():
        queue = queues[references(source["EventSourceArn"]).pop()]
        if queue.get("VisibilityTimeout", 30) < 6 * timeout:
            yield f"{name}: the queue shows a message again before six timeouts of the function"
        if source.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: one bad event brings back the whole batch"
        dead = queues.get("".join(references(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn", ""))))
        if dead is None:
            yield f"{name}: the queue has no dead-letter queue"
        elif dead["MessageRetentionPeriod"] <= queue["MessageRetentionPeriod"]:
            yield f"{name}: a dead letter may be gone before anybody sees it"


def what_the_bus_cannot_deliver_is_kept(template):
    listens = {"Fn::GetAtt": "Listener.Arn"}
    for name, rule in resources(template, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            if target["Arn"] == listens and "DeadLetterConfig" not in target:
                yield f"{name} loses what it can't deliver"
    if not any(
        config["FunctionName"] == {"Ref": "Listener"} and config.get("DestinationConfig", {}).get("OnFailure")
        for config in resources(template, "AWS::Lambda::EventInvokeConfig").values()
    ):
        yield "what the listener fails at asynchronously is lost"


def logs_end_some_day(template):
    groups = resources(template, "AWS::Logs::LogGroup")
    for name, group in groups.items():
        if group.get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name} is kept for ever"
    for name, function in resources(template, "AWS::Serverless::Function").items():
        if not references(function.get("LoggingConfig", {}).get("LogGroup", "")) & groups.keys():
            yield f"{name} logs where nothing ends"


# ── Alarms ──────────────────────────────────────────────────────────────────────────────────────────


def alarms_watch_everything(template):
    watched = set()
    for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items():
        (dimension,) = alarm["Dimensions"]
        on = dimension["Value"] if isinstance(dimension["Value"], str) else references(dimension["Value"]).pop()
        watched.add((alarm["Namespace"], alarm["MetricName"], dimension["Name"], on))
        if alarm.get("AlarmActions") != [{"Ref": "AlarmTopicArn"}]:
            yield f"{name} tells nobody"
    yield from (f"no alarm for {' '.join(one)}" for one in sorted(set(to_be_watched(template)) - watched))


def to_be_watched(template):
    for name, function in resources(template, "AWS::Serverless::Function").items():
        program = function["CodeUri"].rstrip("/").rsplit("/", 1)[-1]
        yield "AWS/Lambda", "Errors", "FunctionName", name
        yield "AWS/Lambda", "Throttles", "FunctionName", name
        yield "Undertone", "KmsErrors", "Agent", program
    sources = {references(one["EventSourceArn"]).pop()
               for one in resources(template, "AWS::Lambda::EventSourceMapping").values()}
    for name in resources(template, "AWS::SQS::Queue"):
        metric = "ApproximateAgeOfOldestMessage" if name in sources else "ApproximateNumberOfMessagesVisible"
        yield "AWS/SQS", metric, "QueueName", name


# ── Functions and parameters ────────────────────────────────────────────────────────────────────────


def functions_get_names_and_no_values(template):
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    if variables.keys() - {"AWS_ENDPOINT_URL"} != VARIABLES:
        yield f"all functions have {sorted(variables)}"
    for name, function in resources(template, "AWS::Serverless::Function").items():
        more = function.get("Environment", {}).get("Variables", {}).keys() - {"SLACK_API_URL"}
        if more:
            yield f"{name} has {sorted(more)}"


def functions_cannot_be_called_by_strangers(template):
    for name, url in resources(template, "AWS::Lambda::Url").items():
        if url["AuthType"] != "AWS_IAM":
            yield f"{name} is open to everybody"
    for name, permission in resources(template, "AWS::Lambda::Permission").items():
        if not {"SourceArn", "SourceAccount"} <= permission.keys() or "*" in permission["Principal"]:
            yield f"{name} lets anybody's {permission['Principal']} call"


def parameters_are_used(template):
    """Of the template as it is written: a parameter that only a condition reads is used."""
    used = references({name: section for name, section in template.items() if name != "Parameters"})
    yield from (f"the parameter {name} is used nowhere" for name in template["Parameters"] if name not in used)


# ── Reading policies ────────────────────────────────────────────────────────────────────────────────


def statements_of_roles(template):
    return [
        (name, [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]])
        for name, role in resources(template, "AWS::IAM::Role").items()
    ]


def allows(statement, action):
    patterns = listed(statement["Action"])
    return statement["Effect"] == "Allow" and any(
        fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns
    )


def beyond_the_store_key(statements, action):
    return any(allows(one, action) and environments_of(one) != [STORE_KEY] for one in statements)


def environments_of(statement):
    """The Environments that a statement is limited to, or None for all."""
    only = statement.get("Condition", {}).get("StringEquals", {}).get(ENVIRONMENT_OF)
    return None if only is None else listed(only)


RULES = [
    only_maintenance_has_both_key_powers,
    the_listener_opens_its_environment_only,
    the_listener_writes_no_rows,
    the_admin_api_reads_no_values,
    nobody_deletes_audit_rows,
    rights_are_exact,
    roles_are_written_out_and_not_shared,
    only_lambda_takes_on_the_roles,
    the_key_rotates,
    the_key_demands_the_context,
    tables_can_be_restored,
    what_cannot_be_made_again_outlives_the_stack,
    queues_take_tls_only,
    queues_are_encrypted,
    queues_leave_time_and_lose_nothing,
    what_the_bus_cannot_deliver_is_kept,
    logs_end_some_day,
    alarms_watch_everything,
    functions_get_names_and_no_values,
    functions_cannot_be_called_by_strangers,
]
