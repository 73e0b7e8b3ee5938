#!/usr/bin/env bash
# Three linters over infra/: CloudFormation's schema, SAM, and security. None needs the network.
# What the security linter may overlook stands in the template, at the resource, with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

template=infra/template.yaml
sam=$(scripts/python-venv.sh sam)
checkov=$(scripts/python-venv.sh checkov)
found=target/checkov.json

"$sam/bin/cfn-lint" "$template"
AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 "$sam/bin/sam" validate --lint --template "$template"
"$checkov/bin/checkov" --skip-download --framework cloudformation --file "$template" --compact --quiet \
    --output cli --output json --output-file-path "console,$found" >&2
# It also ends well when it couldn't read the file, and then it has checked nothing.
python3 - "$found" <<'END'
import json, sys
summary = json.load(open(sys.argv[1])).get("summary", {})
if summary.get("parsing_errors") != 0 or not summary.get("passed"):
    sys.exit(f"checkov checked nothing: {summary}")
print(f"checkov: {summary['passed']} checks passed, {summary['skipped']} exceptions with reasons")
END
