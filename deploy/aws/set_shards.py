"""Custom::Shards: sets the shards in step with the machines. lambda.yml has a copy (make docs).

A stack has two of them: one of Direction "down" before its group of machines, one of "up" after.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import time
import urllib.request

# To answer CloudFormation before the function is ended, and Lambda carries out the event once more:
# longer than one request takes that began just before, with its connect, its TLS and its answer.
LEFT_SECONDS = 75.0
ASK_SECONDS = 20.0
POLL_SECONDS = 2.0
AWAY = "the node does not answer"  # of /v1/health


def wanted(kind, new, old):
    """What is to be done, as (shards, coreapps that must be there, whether to wait), or None."""
    shards = int(new["Shards"])
    before = int(old.get("Shards", 0))
    coreapps = min(shards + 1, int(new["Machines"]) * int(new["Each"]))
    if kind == "Delete" or shards == before:
        return None
    if new["Direction"] == "up":
        return (shards, coreapps, True) if shards > before else None
    if kind == "Create":
        return None
    if shards < before:
        return shards, 0, False
    # The rollback of an update that failed once they had fallen: up, if the machines are there.
    return shards, coreapps, False


def signed(body, env, now=None):
    """GetSecretValue with Signature Version 4."""
    region = env["AWS_REGION"]
    url = env.get("AWS_ENDPOINT_URL") or f"https://secretsmanager.{region}.amazonaws.com"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    head = {
        "content-type": "application/x-amz-json-1.1",
        "host": url.split("/")[2],
        "x-amz-date": stamp,
        "x-amz-security-token": env["AWS_SESSION_TOKEN"],
        "x-amz-target": "secretsmanager.GetSecretValue",
    }
    names = ";".join(head)
    lines = "".join(f"{name}:{text}\n" for name, text in head.items())
    text = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{region}/secretsmanager/aws4_request"
    digest = hashlib.sha256(text.encode()).hexdigest()
    key = ("AWS4" + env["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    head["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={env['AWS_ACCESS_KEY_ID']}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return urllib.request.Request(url + "/", body, head, method="POST")


def secret(arn):
    """The login {"username", "password"}, and "pin" with two-step verification."""
    request = signed(json.dumps({"SecretId": arn}).encode(), os.environ)
    with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:
        return json.loads(json.load(answer)["SecretString"])


class Api:
    """The cluster's API: by the balancer's own name, under the name that its certificate has."""

    def __init__(self, new, end):
        self.host, self.name, self.end = new["Host"], new["Name"], end
        self.tls = ssl.create_default_context(cadata=new.get("Authority") or None)
        self.authorization = ""

    def login(self, login):
        pair = f"{login['username']}:{login['password']}".encode()
        self.authorization = "Basic " + base64.b64encode(pair).decode()
        token = self.must("POST", "/v1/users/login")["users"][0]["token"]
        self.authorization = "Bearer " + token

    def must(self, method, path):
        status, answer = self.ask(method, path)
        if status >= 300:
            raise RuntimeError(f"{method} {path} was answered {status}: {details(answer)}")
        return answer

    def ask(self, method, path, body=None):
        """(status, answer). Tries again where the API says when to, and while nobody answers."""
        while True:
            status, answer, wait = self.once(method, path, body)
            if status not in (0, 403, 429) or time.monotonic() + wait > self.end:
                return status, answer
            time.sleep(wait)

    def once(self, method, path, body):
        link = http.client.HTTPConnection(self.host, 443, timeout=ASK_SECONDS)
        try:
            raw = socket.create_connection((self.host, 443), ASK_SECONDS)
            link.sock = self.tls.wrap_socket(raw, server_hostname=self.name)
            head = {"Authorization": self.authorization, "Host": self.name}
            link.request(method, path, body and json.dumps(body), head)
            answer = link.getresponse()
            wait = float(answer.headers.get("Retry-After", POLL_SECONDS))
            return answer.status, json.loads(answer.read() or "{}"), wait
        except ssl.SSLCertVerificationError:
            raise
        except (OSError, http.client.HTTPException) as error:
            return (
                0,
                {"errors": [{"details": f"{self.host} does not answer ({error})"}]},
                POLL_SECONDS,
            )
        finally:
            link.close()

    def coreapps(self):
        """How many coreapps live. A spare is disconnected as well: the error tells who is away."""
        nodes = self.must("GET", "/v1/health")["health"].values()
        live = [n for n in nodes if n["role"] == "coreapp" and AWAY not in details(n)]
        return len(live)


def details(answer):
    return "; ".join(e.get("details") or e.get("title", "") for e in answer.get("errors", ()))


def carry_out(task, new, end):
    """A sentence that says what was done; RuntimeError with one that says what was not."""
    shards, coreapps, waits = task
    login = secret(new["Secret"])
    api = Api(new, end)
    api.login(login)
    while (there := api.coreapps()) < coreapps:
        said = f"there are {there} coreapps, and {shards} shards want {coreapps}"
        if not waits:
            return f"The shards stay as they are: {said}."
        if time.monotonic() + POLL_SECONDS > end:
            raise RuntimeError(f"The shards were not set: {said}.")
        time.sleep(POLL_SECONDS)
    body = {"cc": new["CountryCode"], "phone_number": new["PhoneNumber"], "shards": shards}
    body |= {key: login[key] for key in ("pin",) if key in login}
    status, answer = api.ask("POST", "/v1/account/shards", body)
    if status == 404:
        return "No number is registered yet: set the shards once it is."
    if status >= 300:
        raise RuntimeError(f"{shards} shards were refused with {status}: {details(answer)}")
    return f"{shards} shards."


def handler(event, context):
    new, old = event["ResourceProperties"], event.get("OldResourceProperties", {})
    end = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - LEFT_SECONDS
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    # Constant: another id would have CloudFormation delete the former resource.
    answer["PhysicalResourceId"] = event["LogicalResourceId"]
    try:
        task = wanted(event["RequestType"], new, old)
        said = carry_out(task, new, end) if task else "Nothing to do."
        answer |= {"Status": "SUCCESS", "Data": {"Said": said}}
    except Exception as error:  # whatever it was, CloudFormation would wait an hour for a word
        said = f"{type(error).__name__}: {error}"
        answer |= {"Status": "FAILED", "Reason": said[:1000]}
    print(said)
    body = json.dumps(answer).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(request, timeout=ASK_SECONDS).close()
