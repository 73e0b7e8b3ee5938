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

import aws_canary
import aws_powers
import aws_story
from aws_events import ENVIRONMENT
from aws_report import Failed
from aws_secrets import Values
from slack_stand_in import SlackStandIn

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENVS = ROOT / "target" / "venvs"
REGION = "us-east-1"
STACK = "undertone"
STORES = ("dynamodb", "secrets-manager")
# What the first bytes of a program say about the machine that it is for.
MACHINES = {62: "x86_64", 183: "arm64"}


class World:
    """What the steps of the story work with."""

    stack = STACK
    root = ROOT

    def __init__(self, scratch, arguments):
        self.scratch = scratch
        self.code = arguments.code
        self.cli = arguments.cli
        self.values = Values()
        self.slack = None
        self.endpoint = None
        self.outputs = {}
        self.credentials = None

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
        if not self.credentials:
            role = self.outputs["AdminApiRoleArn"]
            reply = self.client("sts").assume_role(RoleArn=role, RoleSessionName="admin")
            self.credentials = reply["Credentials"]
        return self.environment() | {
            "UNDERTONE_HOME": str(self.scratch / "home"),
            "AWS_ACCESS_KEY_ID": self.credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": self.credentials["SessionToken"],
        }


def main():
    arguments = parse_arguments()
    # So that `finally` and `with` are kept when somebody ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    try:
        for store in arguments.store or STORES:
            tell(store, arguments)
    except Failed as failed:
        sys.exit(f"failed: {failed}")
    say(f"done in {time.monotonic() - began:.0f} s; nothing is left running")


def tell(store, arguments):
    """The whole story, in an emulator of its own."""
    with tempfile.TemporaryDirectory(prefix="undertone-aws-") as folder:
        world = World(pathlib.Path(folder), arguments)
        with contextlib.ExitStack() as stack:
            log = world.scratch / "ministack.log"
            stack.enter_context(shown_on_failure(log))
            world.slack = stack.enter_context(SlackStandIn(world.values.owners()))
            world.endpoint = stack.enter_context(ministack(world.scratch, log))
            say(f"with Store={store}: ministack at {world.endpoint}, Slack's stand-in at {world.slack.url}")
            world.outputs = deploy(world, {"Store": store} | dict(pair.split("=", 1) for pair in arguments.set))
            for name, value in world.outputs.items():
                print(f"   {name:22} {value}")
            for step in aws_story.STEPS if not arguments.deploy_only else []:
                say(step.__doc__)
                step(world)
        if not arguments.deploy_only:
            say("the emulator has ended and left its state: every file, searched too")
            aws_canary.read_the_disk(world.scratch, world.values.all())


def parse_arguments():
    parser = argparse.ArgumentParser(description="Deploys infra/ into an emulator of AWS and sends events through.")
    parser.add_argument("--code", type=pathlib.Path, default=ROOT / "target" / "lambda",
                        help="a folder with slack-notifier/bootstrap and maintenance/bootstrap (target/lambda)")
    parser.add_argument("--cli", type=pathlib.Path, default=ROOT / "target" / "debug" / "undertone",
                        help="the command line (target/debug/undertone)")
    parser.add_argument("--store", action="append", choices=STORES, help="tell it with this store only (both)")
    parser.add_argument("--set", action="append", default=[], metavar="PARAMETER=VALUE",
                        help="a parameter of the template, such as LogRetentionDays=7")
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
        # Written when it ends, for those who search it.
        "PERSIST_STATE": "1",
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
    for wanted, patience in (signal.SIGTERM, 15), (signal.SIGKILL, 3):
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


def deploy(world, wanted):
    """Runs `sam deploy` with these parameters and gives the stack's outputs."""
    template = laid_out(world.scratch, world.code)
    parameters = {
        "Architecture": machine(),
        "Environment": ENVIRONMENT,
        "AwsEndpointUrl": world.endpoint,
        "SlackApiUrl": world.slack.url,
        "AdminPrincipalArns": f"arn:aws:iam::{aws_powers.ACCOUNT}:root",
    } | wanted
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
        program = code / name / "bootstrap"
        if not program.is_file():
            raise Failed(f"{program} is missing: run scripts/build-functions.sh")
        beginning = program.read_bytes()[:20]
        built_for = MACHINES.get(int.from_bytes(beginning[18:20], "little"))
        if beginning.startswith(b"\x7fELF") and built_for != machine():
            raise Failed(f"{program} is for {built_for}: run scripts/build-functions.sh without options")
    (scratch / "infra").mkdir()
    (scratch / "target").mkdir()
    (scratch / "target" / "lambda").symlink_to(code.resolve())
    return shutil.copy(ROOT / "infra" / "template.yaml", scratch / "infra")


def machine():
    return {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


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
