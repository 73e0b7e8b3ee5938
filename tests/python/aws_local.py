"""AWS on this machine: an emulator on loopback, the template deployed into it, and events sent through.

    scripts/demo-aws.sh

It uses no account and no credentials, listens on 127.0.0.1 at free ports only, keeps everything in a
folder of its own, and leaves no process behind, however it ends.
"""

import argparse
import contextlib
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

import aws_powers
import aws_story
from slack_stand_in import SlackStandIn

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENVS = ROOT / "target" / "venvs"
REGION = "us-east-1"
STACK = "undertone"


class Failed(Exception):
    """What went wrong and what to do about it."""


class World:
    """What the steps of the story work with."""

    stack = STACK

    def __init__(self, scratch, endpoint, slack):
        self.scratch = scratch
        self.endpoint = endpoint
        self.slack = slack
        self.outputs = {}

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id="test",
                            aws_secret_access_key="test")

    def environment(self):
        """For programs: the emulator instead of AWS, and nothing of this machine's account or proxy."""
        return clean_environment(self.scratch) | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def environment_of_admin(self):
        """The same under the role that writes secrets and can't read them: for the command line."""
        reply = self.client("sts").assume_role(RoleArn=self.outputs["AdminApiRoleArn"], RoleSessionName="admin")
        return self.environment() | {
            "AWS_ACCESS_KEY_ID": reply["Credentials"]["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": reply["Credentials"]["SecretAccessKey"],
            "AWS_SESSION_TOKEN": reply["Credentials"]["SessionToken"],
        }


def main():
    arguments = parse_arguments()
    # So that `finally` and `with` are kept when somebody ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="undertone-aws-")))
            log = scratch / "ministack.log"
            stack.enter_context(shown_on_failure(log))
            slack = stack.enter_context(SlackStandIn(aws_story.TOKENS))
            endpoint = stack.enter_context(ministack(scratch, log))
            say(f"ministack at {endpoint}, Slack's stand-in at {slack.url}")
            world = World(scratch, endpoint, slack)
            world.outputs = deploy(world, arguments)
            for name, value in world.outputs.items():
                print(f"   {name:22} {value}")
            for step in aws_story.STEPS if not arguments.deploy_only else []:
                say(step.__doc__)
                step(world)
    except (Failed, aws_powers.Failed, aws_story.Failed) as failed:
        sys.exit(f"failed: {failed}")
    say(f"done in {time.monotonic() - began:.0f} s; nothing is left running")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Deploys infra/ into an emulator of AWS and sends events through.")
    parser.add_argument("--code", type=pathlib.Path, default=ROOT / "target" / "lambda",
                        help="a folder with slack-notifier/bootstrap and maintenance/bootstrap (target/lambda)")
    parser.add_argument("--set", action="append", default=[], metavar="PARAMETER=VALUE",
                        help="a parameter of the template, such as Store=secrets-manager")
    parser.add_argument("--deploy-only", action="store_true", help="deploy, print the outputs, tear down")
    return parser.parse_args()


# ── The emulator ────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def ministack(scratch, log):
    """A running emulator: its endpoint. It ends with the block, and so do the functions it runs."""
    port = free_port()
    environment = clean_environment(scratch) | {
        # It would listen on every interface, and with one protocol more at a fixed port.
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "STATE_DIR": str(scratch / "state"),
        # AWS waits for a minute before it calls an asynchronous function again.
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "1",
    }
    program = [VENVS / "emulators" / "bin" / "python", ROOT / "tests" / "python" / "strict_ministack.py"]
    with open(log, "wb") as out:
        # A session of its own: one signal reaches the functions too, which are its children.
        server = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=out, stderr=out, env=environment,
                                  cwd=scratch, start_new_session=True)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        wait_until_ready(server, endpoint)
        yield endpoint
    finally:
        end_group(server)


def wait_until_ready(server, endpoint):
    for _ in range(300):
        if server.poll() is not None:
            raise Failed("the emulator ended while it started; its log is above")
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{endpoint}/_ministack/ready", timeout=1) as reply:
                if reply.status == 200:
                    return
        time.sleep(0.1)
    raise Failed("the emulator isn't ready after 30 seconds; its log is above")


def end_group(server):
    for wanted, patience in (signal.SIGTERM, 3), (signal.SIGKILL, 3):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, wanted)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            server.poll()
            try:
                os.killpg(server.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(scratch):
    """Functions get the emulator's environment: nothing of ours may be in it."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "NO_PROXY": "127.0.0.1",
        "AWS_CONFIG_FILE": str(scratch / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(scratch / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    }


@contextlib.contextmanager
def shown_on_failure(log):
    try:
        yield
    except BaseException:
        if log.exists():
            lines = log.read_text(errors="replace").splitlines()[17:]
            print("\n".join(["", "== the end of the emulator's log", *lines[-40:]]), file=sys.stderr)
        raise


# ── The stack ───────────────────────────────────────────────────────────────────────────────────────


def deploy(world, arguments):
    """Runs `sam deploy` and gives the stack's outputs."""
    template = laid_out(world.scratch, arguments.code)
    parameters = {
        "Architecture": {"aarch64": "arm64"}.get(platform.machine(), "x86_64"),
        "Environment": aws_story.ENVIRONMENT,
        "AwsEndpointUrl": world.endpoint,
        "SlackApiUrl": world.slack.url,
        "AdminPrincipalArns": f"arn:aws:iam::{aws_powers.ACCOUNT}:root",
    } | dict(pair.split("=", 1) for pair in arguments.set)
    began = time.monotonic()
    run([
        VENVS / "sam" / "bin" / "sam", "deploy", "--template-file", template, "--stack-name", STACK,
        "--region", REGION, "--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset",
        "--no-progressbar",
        "--parameter-overrides", *[f"{name}={value}" for name, value in parameters.items()],
    ], world)
    stack = world.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    if stack["StackStatus"] != "CREATE_COMPLETE":
        raise Failed(f"the stack is {stack['StackStatus']}; see the events that `sam deploy` printed above")
    say(f"sam deploy: {stack['StackStatus']} in {time.monotonic() - began:.1f} s")
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def laid_out(scratch, code):
    """The template beside programs where it looks for them, whatever folder they come from."""
    for name in ("slack-notifier", "maintenance"):
        if not (code / name / "bootstrap").is_file():
            raise Failed(f"{code / name / 'bootstrap'} is missing: build the functions first (see infra/README.md)")
    (scratch / "infra").mkdir()
    (scratch / "target").mkdir()
    (scratch / "target" / "lambda").symlink_to(code.resolve())
    return shutil.copy(ROOT / "infra" / "template.yaml", scratch / "infra")


def run(command, world):
    log = world.scratch / "command.log"
    with open(log, "wb") as out:
        code = subprocess.run(command, env=world.environment(), cwd=world.scratch, stdin=subprocess.DEVNULL,
                              stdout=out, stderr=subprocess.STDOUT, timeout=300).returncode
    if code != 0:
        print(log.read_text(errors="replace"), file=sys.stderr)
        raise Failed(f"`{pathlib.Path(command[0]).name} {command[1]}` ended with {code}")


def say(text):
    print(f"\n== {text}", flush=True)


if __name__ == "__main__":
    main()
