"""ministack with what it lacks of AWS: run as a program, it serves until its standard input ends.

With AUTH=true ministack gives every function its role's credentials, checks signatures, and evaluates
the policies of roles, keys and queues. Each function named `mend_..` says what it gets wrong.
"""

import json
import os
import signal
import sys
import threading

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.services import lambda_svc


def mend_conditions_on_encryption_contexts():
    """It doesn't know KMS's condition keys: a statement with a condition on the context never applied."""
    known = iam_actions.request_tag_context

    def with_encryption_context(service, iam_action, body, params):
        keys = known(service, iam_action, body, params)
        if service == "kms":
            keys |= encryption_context_keys(body)
        return keys

    iam_actions.request_tag_context = with_encryption_context


def encryption_context_keys(body):
    """`kms:EncryptionContext:<key>` for each, and `kms:EncryptionContextKeys`, as AWS derives them."""
    try:
        request = json.loads(body)
        context = request.get("EncryptionContext") or request.get("SourceEncryptionContext") or {}
    except (ValueError, AttributeError):
        return {}
    if not context:
        return {}
    return {f"kms:EncryptionContext:{key}": value for key, value in context.items()} | {
        "kms:EncryptionContextKeys": sorted(context),
    }


def mend_secure_transport():
    """It speaks HTTP, so that a policy that demands TLS shut everybody out: loopback counts as TLS."""
    known = app.pin_request_origin
    app.pin_request_origin = lambda source_ip, _: known(source_ip, True)


def mend_numbers_of_parameters():
    """A `!Ref` to a Number arrives as text; the poller of queues compared it with numbers and died."""
    known = lambda_svc._sqs_esm_concurrency
    lambda_svc._sqs_esm_concurrency = lambda *arguments: int(known(*arguments))


def mend_callers_of_urls():
    """Who signed a call of a URL with `AWS_IAM` isn't in the event; in AWS's it is."""
    known = lambda_svc._build_function_url_event

    def with_caller(url_id, account_id, region, method, path, headers, body, query_params, **more):
        event = known(url_id, account_id, region, method, path, headers, body, query_params, **more)
        if not more["anonymous"]:
            arn = iam_evaluator.request_caller_arn(headers, query_params)
            event["requestContext"]["authorizer"] = {"iam": {"accountId": account_id, "userArn": arn}}
        return event

    lambda_svc._build_function_url_event = with_caller


def end_with_standard_input():
    """However the parent ends, this process and the functions that it runs (its group) end too."""

    def wait():
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    os.environ["AUTH"] = "true"
    app.AUTH = True
    mend_conditions_on_encryption_contexts()
    mend_secure_transport()
    mend_numbers_of_parameters()
    mend_callers_of_urls()
    end_with_standard_input()
    sys.argv = ["ministack"]
    app.main()
