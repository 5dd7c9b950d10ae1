#!/usr/bin/env python3
"""What an EC2 instance asks of AWS, with the standard library alone.

secrets [LIST]                   fetch what LIST names (lines FILE ARN [KEY OF ITS JSON]) into
                                 /run/warouter/secrets, which root alone reads
target ARN                       wait until the load balancer calls this instance healthy
signal STATUS STACK RESOURCE     tell the stack that this instance is ready (SUCCESS) or will not
                                 be (FAILURE)

The credentials are those of the instance's role, by IMDSv2. /etc/warouter/aws.env may set
AWS_ENDPOINT_URL, as all AWS programs know it.
"""

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")
LIST = "/etc/warouter/aws-secrets"
FOLDER = Path("/run/warouter/secrets")
SECONDS = 10.0
ATTEMPTS = 6  # a role that was made just now may not have its rights everywhere yet
TOKEN_SECONDS = "300"
TARGET_SECONDS = 300.0  # the load balancer's checks begin some minutes after a target is there
POLL_SECONDS = 5.0  # of many machines at once: AWS bounds the calls of an account
# A 400 with one of these is right a moment later.
LATER = ("AccessDenied", "Throttl", "RequestLimitExceeded", "TooManyRequests")


def ask(request, attempts=ATTEMPTS):
    """The body of the answer. Tries again what may be right a moment later."""
    for attempt in range(1, attempts + 1):
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            said = f"{error.code} {error.read().decode(errors='replace')[:300]}"
            if error.code == 400 and not any(word in said for word in LATER):
                break  # it will be refused again, as a signal to a stack that waits for none
        except OSError as error:
            said = str(error)
        if attempt < attempts:
            time.sleep(2.0 ** (attempt - 1))
    sys.exit(f"{request.get_method()} {request.full_url} failed: {said}")


def metadata(path):
    """A text of the instance metadata, by version 2: the launch template refuses version 1."""
    wish = {"X-aws-ec2-metadata-token-ttl-seconds": TOKEN_SECONDS}
    url = METADATA + "/latest/api/token"
    token = ask(urllib.request.Request(url, method="PUT", headers=wish)).decode()
    shown = {"X-aws-ec2-metadata-token": token}
    return ask(urllib.request.Request(f"{METADATA}/latest/{path}", headers=shown)).decode()


def role():
    """The credentials of the instance's role, and the region."""
    path = "meta-data/iam/security-credentials/"
    name = metadata(path).split()[0]
    return json.loads(metadata(path + name)), metadata("meta-data/placement/region")


def signed(service, region, credentials, headers, body, now=None):
    """A POST with Signature Version 4 (IAM user guide, "Create a signed AWS API request")."""
    url = os.environ.get("AWS_ENDPOINT_URL") or f"https://{service}.{region}.amazonaws.com"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    shown = {
        "host": urllib.parse.urlsplit(url).netloc,
        "x-amz-date": stamp,
        "x-amz-security-token": credentials["Token"],
        **{name.lower(): value for name, value in headers.items()},
    }
    names = ";".join(sorted(shown))
    lines = "".join(f"{name}:{shown[name]}\n" for name in sorted(shown))
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = ("AWS4" + credentials["SecretAccessKey"]).encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    del shown["host"]  # urllib writes it
    shown["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials['AccessKeyId']}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return urllib.request.Request(url + "/", data=body, headers=shown, method="POST")


def fetch(arn, region, credentials):
    """The text of a secret."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "secretsmanager.GetSecretValue",
    }
    body = json.dumps({"SecretId": arn}).encode()
    request = signed("secretsmanager", region, credentials, headers, body)
    return json.loads(ask(request))["SecretString"]


def write(name, text):
    """A file that root alone reads, whole or not at all."""
    half = FOLDER / f".{name}"
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    half.rename(FOLDER / name)


def secrets(list_file=LIST):
    credentials, region = role()
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    texts = {}
    for line in Path(list_file).read_text().splitlines():
        if not line.strip():
            continue
        name, arn, *key = line.split()
        texts[arn] = texts.get(arn) or fetch(arn, region, credentials)
        if not key:
            write(name, texts[arn])
        elif key[0] in json.loads(texts[arn]):
            write(name, json.loads(texts[arn])[key[0]])
        else:
            sys.exit(f"The secret {arn} has no key {key[0]}: add it.")


def query(service, version, action, fields):
    """The XML that one of the older services answers."""
    credentials, region = role()
    body = urllib.parse.urlencode({"Action": action, "Version": version, **fields}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return ask(signed(service, region, credentials, headers, body)).decode()


def target(arn):
    instance = metadata("meta-data/instance-id")
    fields = {"TargetGroupArn": arn, "Targets.member.1.Id": instance}
    give_up = time.monotonic() + TARGET_SECONDS
    said = ""
    while "<State>healthy</State>" not in said:
        if time.monotonic() > give_up:
            sys.exit(f"The load balancer does not call {instance} healthy: {said}")
        if said:
            time.sleep(POLL_SECONDS)
        said = query("elasticloadbalancing", "2015-12-01", "DescribeTargetHealth", fields)


def signal(status, stack, resource):
    fields = {
        "StackName": stack,
        "LogicalResourceId": resource,
        "UniqueId": metadata("meta-data/instance-id"),
        "Status": status,
    }
    query("cloudformation", "2010-05-15", "SignalResource", fields)


if __name__ == "__main__":
    {"secrets": secrets, "target": target, "signal": signal}[sys.argv[1]](*sys.argv[2:])
