"""What an EC2 instance can ask: its metadata on 169.254.169.254, and the calls of instance.py.

One server for all machines of a suite's bridge, which it tells apart by their addresses:
``network.make(ADDRESS)`` first. Without a token (version 1) it answers what cloud-init asks outside
of EC2; the credentials of the role want version 2, as the launch template does.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs

from tests.deploy.machine import Machine

HOST = "169.254.169.254"
ADDRESS = f"{HOST}/32"
URL = f"http://{HOST}"
REGION = "eu-central-1"
ROLE = "warouter"
_HEALTHY = "<DescribeTargetHealthResponse><State>healthy</State></DescribeTargetHealthResponse>"
# Outside of EC2 cloud-init has to be told where it is. No ssh keys: nobody logs in.
_CLOUD = """datasource_list: [ Ec2, None ]
datasource: { Ec2: { strict_id: false, apply_network_config: false, timeout: 5, max_wait: 30 } }
network: { config: disabled }
ssh_genkeytypes: []
"""


@dataclass
class Instance:
    """What is known of one machine; ``endpoint`` is where its programs reach AWS."""

    address: str
    user_data: str
    id: str = field(default_factory=lambda: f"i-{secrets.token_hex(8)}")

    def metadata(self) -> dict[str, str]:
        return {
            "ami-id": "ami-00000000000000000",
            "hostname": f"ip-{self.address.replace('.', '-')}",
            "instance-id": self.id,
            "instance-type": "m7i.large",
            "local-hostname": f"ip-{self.address.replace('.', '-')}",
            "local-ipv4": self.address,
            "placement/availability-zone": f"{REGION}a",
            "placement/region": REGION,
        }


class Imds:
    """``secrets``: texts by ARN, for those whose programs ask here (``prepare`` says so)."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self.instances: dict[str, Instance] = {}
        self.secrets = dict(secrets or {})
        self.signals: dict[str, str] = {}  # of CloudFormation, by instance id
        self.tokens: set[str] = set()
        self.key = {"AccessKeyId": "ASIA0123456789ABCDEF", "SecretAccessKey": secrets_key()}

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"imds": self})
        self._server = ThreadingHTTPServer((HOST, 80), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def prepare(self, machine: Machine, user_data: str, endpoint: str = URL) -> Instance:
        """Make it an instance, before it boots; its programs ask AWS at ``endpoint``."""
        instance = Instance(machine.address, user_data)
        self.instances[machine.address] = instance
        machine.write("/etc/cloud/ds-identify.cfg", "policy: enabled\ndatasource: Ec2\n")
        machine.write("/etc/cloud/cloud.cfg.d/99-test.cfg", _CLOUD)
        machine.write("/etc/warouter/aws.env", f"AWS_ENDPOINT_URL={endpoint}\n")
        return instance


def secrets_key() -> str:
    return secrets.token_urlsafe(30)


class _Handler(BaseHTTPRequestHandler):
    imds: Imds

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    @property
    def _instance(self) -> Instance | None:
        return self.imds.instances.get(self.client_address[0])

    def do_PUT(self) -> None:
        if (
            self.path.endswith("/api/token")
            and "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
        ):
            token = secrets.token_urlsafe(16)
            self.imds.tokens.add(token)
            self._answer(200, token)
        else:
            self._answer(400, "")

    def do_GET(self) -> None:
        token = self.headers.get("X-aws-ec2-metadata-token")
        instance = self._instance
        if instance is None:
            return self._answer(404, "")
        if token is not None and token not in self.imds.tokens:
            return self._answer(401, "")
        _version, _, path = self.path.strip("/").partition("/")
        if path == "user-data":
            return self._answer(200, instance.user_data)
        if path.startswith("meta-data/iam"):
            return self._credentials(path, token)
        return self._listed(instance.metadata(), path)

    def _credentials(self, path: str, token: str | None) -> None:
        known = {
            "meta-data/iam/security-credentials": ROLE,
            f"meta-data/iam/security-credentials/{ROLE}": json.dumps(
                {"Code": "Success", **self.imds.key, "Token": "of-the-session"}
            ),
        }
        if token is None:
            return self._answer(401, "")
        path = path.rstrip("/")
        return self._answer(200, known[path]) if path in known else self._answer(404, "")

    def _listed(self, metadata: Mapping[str, str], path: str) -> None:
        """A leaf, or the names of a folder, each with a slash that is a folder."""
        under = path.rstrip("/").removeprefix("meta-data").strip("/")
        if not path.startswith("meta-data"):
            return self._answer(404, "")
        if under in metadata:
            return self._answer(200, metadata[under])
        start = f"{under}/" if under else ""
        names = {
            name[len(start) :].partition("/")[0] + ("/" if "/" in name[len(start) :] else "")
            for name in metadata
            if name.startswith(start)
        }
        return self._answer(200 if names else 404, "\n".join(sorted(names)))

    def do_POST(self) -> None:
        """What instance.py asks of AWS; a request that is not signed by the role is refused."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if f"Credential={self.imds.key['AccessKeyId']}/" not in self.headers.get(
            "Authorization", ""
        ):
            return self._answer(403, "not signed")
        if self.headers.get("X-Amz-Target") == "secretsmanager.GetSecretValue":
            text = self.imds.secrets.get(json.loads(body)["SecretId"])
            if text is None:
                return self._answer(400, '{"__type":"ResourceNotFoundException"}')
            return self._answer(200, json.dumps({"SecretString": text}))
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        if fields.get("Action") == "SignalResource":
            self.imds.signals[fields["UniqueId"]] = fields["Status"]
            return self._answer(200, "<SignalResourceResponse/>")
        if fields.get("Action") == "DescribeTargetHealth":
            return self._answer(200, _HEALTHY)
        return self._answer(400, "unknown")

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
