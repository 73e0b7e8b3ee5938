"""Holds infra/template.yaml to its rules, under every way to set it up, and each rule to a breach of it."""

import copy
import itertools
import pathlib
import unittest

import cloudformation
import infra_rules as rules

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = cloudformation.read(ROOT / "infra" / "template.yaml")

SETUPS = [
    {
        "Store": store,
        "AuditTo": audit,
        "ExternalSecretArns": external,
        "AdminPrincipalArns": admins,
        "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
        "AwsEndpointUrl": endpoint,
        "SlackApiUrl": endpoint,
    }
    for store, audit, external, admins, endpoint in itertools.product(
        ["dynamodb", "secrets-manager"],
        ["dynamodb", "log"],
        ["", "arn:aws:secretsmanager:us-east-1:123456789012:secret:theirs-abcdef"],
        ["", "arn:aws:iam::123456789012:user/ann"],
        ["", "http://127.0.0.1:4566"],
    )
]


def breaches(template, rule):
    """What breaks the rule, in any setup."""
    return sorted({breach for setup in SETUPS for breach in rule(cloudformation.under(template, **setup))})


class Template(unittest.TestCase):
    def test_the_template_keeps_every_rule_in_every_setup(self):
        for rule in rules.RULES:
            with self.subTest(rule.__name__):
                self.assertEqual(breaches(TEMPLATE, rule), [])

    def test_every_parameter_is_used(self):
        self.assertEqual(list(rules.parameters_are_used(TEMPLATE)), [])
        broken = copy.deepcopy(TEMPLATE)
        broken["Parameters"]["Spare"] = {"Type": "String"}
        self.assertEqual(list(rules.parameters_are_used(broken)), ["the parameter Spare is used nowhere"])

    def test_every_exception_from_the_security_linter_has_a_reason(self):
        for name, resource in TEMPLATE["Resources"].items():
            for exception in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
                with self.subTest(name, id=exception["id"]):
                    self.assertGreater(len(exception.get("comment", "")), 30)

    def test_what_the_command_line_asks_for_is_put_out(self):
        wanted = {"Environment", "Store", "AuditTo", "Prefix", "KeyArn", "RowsTable", "AuditTable", "IdempotencyTable",
                  "QueueUrl", "DeadLetterQueueUrl", "BusName", "ListenerFunction", "ListenerUrl",
                  "MaintenanceFunction", "AdminApiRoleArn"}
        self.assertLessEqual(wanted, TEMPLATE["Outputs"].keys())


    def test_the_manual_names_every_resource_parameter_and_variable(self):
        for page, names in [
            ("docs/reference/aws-resources.md", TEMPLATE["Resources"]),
            ("docs/reference/aws-resources.md", {resource["Type"] for resource in TEMPLATE["Resources"].values()}),
            ("docs/reference/aws-resources.md", TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]),
            ("infra/README.md", TEMPLATE["Parameters"]),
        ]:
            text = (ROOT / page).read_text(encoding="utf-8")
            self.assertEqual([name for name in names if f"`{name}`" not in text], [], page)


class Breaches(unittest.TestCase):
    """Each rule sees the breach that it is there for."""

    def test_each_rule_sees_its_breach(self):
        for rule, breach, seen in BREACHES:
            with self.subTest(rule.__name__, seen=seen):
                broken = copy.deepcopy(TEMPLATE)
                breach(broken["Resources"])
                self.assertIn(seen, breaches(broken, rule))

    def test_every_rule_has_a_breach(self):
        self.assertEqual({rule for rule, _, _ in BREACHES}, set(rules.RULES))

    def test_a_rule_sees_what_only_one_setup_brings(self):
        broken = copy.deepcopy(TEMPLATE)
        condition = ["StoresInSecretsManager", granted("kms:GenerateDataKey"), {"Ref": "AWS::NoValue"}]
        broken["Conditions"]["StoresInSecretsManager"] = {"Fn::Equals": [{"Ref": "Store"}, "secrets-manager"]}
        broken["Resources"]["ListenerRole"]["Properties"]["Policies"].append({"Fn::If": condition})
        self.assertNotEqual(breaches(broken, rules.only_maintenance_has_both_key_powers), [])


def granted(actions, resource=None, **more):
    """A policy that allows the actions, on the key if not said otherwise."""
    resource = {"Fn::GetAtt": "Key.Arn"} if resource is None else resource
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource} | more
    return {"PolicyName": "more", "PolicyDocument": {"Statement": [statement]}}


def grant(role, actions, resource=None, **more):
    return lambda all_: all_[role]["Properties"]["Policies"].append(granted(actions, resource, **more))


def put(name, *path, value):
    """Sets what is at the path below a resource's properties."""
    def breach(all_):
        node = all_[name]["Properties"]
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value
    return breach


def drop(name, *path):
    def breach(all_):
        node = all_[name]["Properties"]
        for step in path[:-1]:
            node = node[step]
        del node[path[-1]]
    return breach


def remove(name):
    return lambda all_: all_.pop(name)


def set_policy(name, policy, value):
    return lambda all_: all_[name].__setitem__(policy, value)


def add(name, type_, **properties):
    return lambda all_: all_.__setitem__(name, {"Type": type_, "Properties": properties})


ROWS, AUDIT = {"Fn::GetAtt": "RowsTable.Arn"}, {"Fn::GetAtt": "AuditTable.Arn"}
USE = ["KeyPolicy", "Statement", 1]
BOTH = "may both Decrypt and GenerateDataKey beyond the store key"
IN_STORE_KEY = {"Condition": {"StringEquals": {rules.ENVIRONMENT_OF: ["-store-", "prod"]}}}

BREACHES = [
    (rules.only_maintenance_has_both_key_powers, grant("AdminApiRole", "kms:Decrypt"), f"AdminApiRole {BOTH}"),
    (rules.only_maintenance_has_both_key_powers, grant("AdminApiRole", "kms:D*"), f"AdminApiRole {BOTH}"),
    (rules.only_maintenance_has_both_key_powers, grant("AdminApiRole", "*", "*"), f"AdminApiRole {BOTH}"),
    (rules.only_maintenance_has_both_key_powers, grant("AdminApiRole", "kms:Decrypt", **IN_STORE_KEY),
     f"AdminApiRole {BOTH}"),
    (rules.only_maintenance_has_both_key_powers, grant("ListenerRole", "kms:GenerateDataKey"), f"ListenerRole {BOTH}"),
    (rules.only_maintenance_has_both_key_powers, grant("AdminApiRole", "kms:ReEncrypt*"), "AdminApiRole may ReEncrypt"),
    (rules.only_maintenance_has_both_key_powers,
     drop("AdminApiRole", "Policies", 0, "PolicyDocument", "Statement", 1, "Condition"), f"AdminApiRole {BOTH}"),
    (rules.the_listener_opens_its_environment_only, grant("ListenerRole", "kms:Decrypt"),
     "ListenerRole may Decrypt in every Environment"),
    (rules.the_listener_opens_its_environment_only, grant("ListenerRole", "kms:Decrypt", **IN_STORE_KEY),
     "ListenerRole may Decrypt in ['-store-', 'prod']"),
    (rules.the_listener_writes_no_rows, grant("ListenerRole", "dynamodb:PutItem", ROWS),
     "ListenerRole may dynamodb:PutItem on RowsTable"),
    (rules.the_listener_writes_no_rows, grant("ListenerRole", ["dynamodb:*"], [AUDIT, ROWS]),
     "ListenerRole may dynamodb:* on RowsTable"),
    (rules.the_listener_writes_no_rows, grant("ListenerRole", "secretsmanager:PutSecretValue", {"Fn::Sub": rules.PREFIX}),
     "ListenerRole may secretsmanager:PutSecretValue"),
    (rules.the_admin_api_reads_no_values, grant("AdminApiRole", "kms:Decrypt"),
     "AdminApiRole may Decrypt beyond the store key"),
    (rules.nobody_deletes_audit_rows, grant("MaintenanceRole", "dynamodb:DeleteItem", AUDIT),
     "MaintenanceRole may dynamodb:DeleteItem on AuditTable"),
    (rules.rights_are_exact, grant("ListenerRole", "sqs:SendMessage", "*"),
     "ListenerRole may sqs:SendMessage on all resources"),
    (rules.rights_are_exact, grant("ListenerRole", "logs:*", AUDIT), "ListenerRole may logs:*"),
    (rules.rights_are_exact, grant("ListenerRole", "dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/rows"),
     "ListenerRole has rights on arn:aws:dynamodb:*:*:table/rows"),
    (rules.rights_are_exact, grant("ListenerRole", "s3:GetObject", AUDIT, NotResource="arn:aws:s3:::one"),
     "ListenerRole has a statement that doesn't plainly allow something"),
    (rules.roles_are_written_out_and_not_shared, put("Listener", "Role", value={"Fn::GetAtt": "MaintenanceRole.Arn"}),
     "Listener and Maintenance share a role"),
    (rules.roles_are_written_out_and_not_shared, put("Listener", "Policies", value=["AdministratorAccess"]),
     "Listener has policies beside its role"),
    (rules.roles_are_written_out_and_not_shared, put("ListenerRole", "ManagedPolicyArns", value=["arn"]),
     "ListenerRole has managed policies"),
    (rules.roles_are_written_out_and_not_shared, add("More", "AWS::IAM::Policy", Roles=[{"Ref": "ListenerRole"}]),
     "More is a policy beside its role"),
    (rules.only_lambda_takes_on_the_roles,
     put("MaintenanceRole", "AssumeRolePolicyDocument", "Statement", 0, "Principal", value={"AWS": "*"}),
     "MaintenanceRole may be taken on by {'AWS': '*'}"),
    (rules.the_key_rotates, put("Key", "EnableKeyRotation", value=False), "Key doesn't rotate"),
    (rules.the_key_demands_the_context, drop("Key", *USE, "Condition"), "Key: esr:store may be missing"),
    (rules.the_key_demands_the_context, drop("Key", *USE, "Condition", "Null", "kms:EncryptionContext:esr:store"),
     "Key: esr:store may be missing"),
    (rules.the_key_demands_the_context, drop("Key", *USE, "Condition", "StringEquals"), "Key: esr:v needn't be 1"),
    (rules.the_key_demands_the_context, drop("Key", *USE, "Condition", "ForAllValues:StringEquals"),
     "Key: the context may have more keys"),
    (rules.the_key_demands_the_context, put("Key", "KeyPolicy", "Statement", 0, "Action", value="kms:*"),
     "Key allows kms:CreateGrant"),
    (rules.the_key_demands_the_context, put("Key", *USE, "Principal", value={"AWS": "*"}), "Key is open to {'AWS': '*'}"),
    (rules.tables_can_be_restored, drop("RowsTable", "PointInTimeRecoverySpecification"),
     "RowsTable has no point-in-time recovery"),
    (rules.tables_can_be_restored, drop("AuditTable", "SSESpecification"),
     "AuditTable isn't encrypted under a key that the account sees"),
    (rules.what_cannot_be_made_again_outlives_the_stack, set_policy("Key", "DeletionPolicy", "Delete"),
     "Key goes with the stack"),
    (rules.what_cannot_be_made_again_outlives_the_stack, set_policy("RowsTable", "UpdateReplacePolicy", "Delete"),
     "RowsTable goes when it is replaced"),
    (rules.what_cannot_be_made_again_outlives_the_stack, drop("AuditTable", "DeletionProtectionEnabled"),
     "AuditTable isn't protected from deletion"),
    (rules.queues_take_tls_only, remove("QueuePolicy"), "Queue takes messages without TLS"),
    (rules.queues_take_tls_only,
     drop("UndeliveredQueuePolicy", "PolicyDocument", "Statement", 0), "UndeliveredQueue takes messages without TLS"),
    (rules.queues_are_encrypted, drop("DeadLetterQueue", "SqsManagedSseEnabled"), "DeadLetterQueue isn't encrypted"),
    (rules.queues_leave_time_and_lose_nothing, put("Queue", "VisibilityTimeout", value=60),
     "ListenerFromQueue: the queue shows a message again before six timeouts of the function"),
    (rules.queues_leave_time_and_lose_nothing, drop("ListenerFromQueue", "FunctionResponseTypes"),
     "ListenerFromQueue: one bad event brings back the whole batch"),
    (rules.queues_leave_time_and_lose_nothing, drop("Queue", "RedrivePolicy"),
     "ListenerFromQueue: the queue has no dead-letter queue"),
    (rules.queues_leave_time_and_lose_nothing, put("DeadLetterQueue", "MessageRetentionPeriod", value=3600),
     "ListenerFromQueue: a dead letter may be gone before anybody sees it"),
    (rules.what_the_bus_cannot_deliver_is_kept, drop("Rule", "Targets", 0, "DeadLetterConfig"),
     "Rule loses what it can't deliver"),
    (rules.what_the_bus_cannot_deliver_is_kept, remove("ListenerFailures"),
     "what the listener fails at asynchronously is lost"),
    (rules.logs_end_some_day, drop("ListenerLog", "RetentionInDays"), "ListenerLog is kept for ever"),
    (rules.logs_end_some_day, drop("Maintenance", "LoggingConfig"), "Maintenance logs where nothing ends"),
    (rules.alarms_watch_everything, remove("DeadLettersAlarm"),
     "no alarm for AWS/SQS ApproximateNumberOfMessagesVisible QueueName DeadLetterQueue"),
    (rules.alarms_watch_everything, remove("OldestMessageAlarm"),
     "no alarm for AWS/SQS ApproximateAgeOfOldestMessage QueueName Queue"),
    (rules.alarms_watch_everything, remove("ListenerThrottlesAlarm"),
     "no alarm for AWS/Lambda Throttles FunctionName Listener"),
    (rules.alarms_watch_everything, remove("MaintenanceErrorsAlarm"),
     "no alarm for AWS/Lambda Errors FunctionName Maintenance"),
    (rules.alarms_watch_everything, remove("ListenerKmsErrorsAlarm"),
     "no alarm for Undertone KmsErrors Agent slack-notifier"),
    (rules.alarms_watch_everything, drop("UndeliveredAlarm", "AlarmActions"), "UndeliveredAlarm tells nobody"),
    (rules.functions_get_names_and_no_values,
     put("Listener", "Environment", "Variables", "SLACK_TOKEN", value="xoxb"), "Listener has ['SLACK_TOKEN']"),
    (rules.functions_cannot_be_called_by_strangers, put("ListenerUrl", "AuthType", value="NONE"),
     "ListenerUrl is open to everybody"),
    (rules.functions_cannot_be_called_by_strangers, drop("ListenerFromRule", "SourceArn"),
     "ListenerFromRule lets anybody's events.amazonaws.com call"),
]
