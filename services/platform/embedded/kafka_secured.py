"""What makes Apache Kafka nodes let in only whom they know: certificates, users, and the properties for both.

Clients and brokers come in over TLS with SCRAM-SHA-512; controllers know one another by their certificates. Whoever
is let in may do what the access control lists allow, and nothing without one. Source: Apache Kafka 4.3, "Security".
"""

import os
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import pbkdf2_hmac
from pathlib import Path

from pydantic import SecretStr

from services.platform.embedded.certificates import Authority
from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.kafka_config import Ports
from services.platform.kafka_security import Brokers, Security

ADMINISTRATOR = "administrator"
"""Who may do everything, and as whom brokers speak to one another."""
_NODE = "muster-kafka"
_ITERATIONS = 4096
"""The least that Kafka takes, which is plenty for a cluster of one machine's tests."""
_SALT_BYTES = 24


class Secured:
    """The users of a cluster and its files in ``folder``; an administrator is added to ``users``."""

    def __init__(self, folder: Path, users: Mapping[str, SecretStr]) -> None:
        if ADMINISTRATOR in users:
            raise EmbeddedError(f"{ADMINISTRATOR} is the cluster's own user: name yours otherwise")
        self._folder = folder
        self._users = dict(users)

    @property
    def ca(self) -> Path:
        """The certificate by which clients know the brokers."""
        return self._folder / "ca.pem"

    def prepare(self) -> None:
        """Make fresh certificates; the administrator's password is made once, as the nodes' data outlive a start."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = Authority("Muster's Kafka on this machine")
        node = authority.issue(_NODE)
        self.ca.write_bytes(authority.certificate)
        private(self._node, (node.key + node.certificate + authority.certificate).decode())
        if not self._secret.exists():
            private(self._secret, secrets.token_urlsafe(24))

    def user(self, name: str, bootstrap: str) -> Brokers:
        """Give the way in of one user; raises KeyError for one that is not there."""
        password = self._password() if name == ADMINISTRATOR else self._users[name]
        return Brokers(bootstrap, security=Security.SASL_SSL, ca=self.ca, username=name, password=password)

    def format_options(self) -> list[str]:
        """Give the options with which a node's storage is formatted: every user, with the password salted."""
        everybody = {ADMINISTRATOR: self._password(), **self._users}
        return [
            word for name, password in sorted(everybody.items()) for word in ("--add-scram", _scram(name, password))
        ]

    def properties(self, ports: Ports) -> dict[str, object]:
        """Give what differs from an open node's ``server.properties``."""
        login = "org.apache.kafka.common.security.scram.ScramLoginModule"
        password = self._password().get_secret_value()
        return {
            "listeners": f"SASL_SSL://127.0.0.1:{ports.broker},CONTROLLER://127.0.0.1:{ports.controller}",
            "advertised.listeners": f"SASL_SSL://127.0.0.1:{ports.broker}",
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:SSL",
            "inter.broker.listener.name": "SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                f'{login} required username="{ADMINISTRATOR}" password="{password}";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._node,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.ca,
            "listener.name.controller.ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMINISTRATOR};User:CN={_NODE}",
            "allow.everyone.if.no.acl.found": "false",
        }

    @property
    def _node(self) -> Path:
        return self._folder / "node.pem"

    @property
    def _secret(self) -> Path:
        return self._folder / ADMINISTRATOR

    def _password(self) -> SecretStr:
        return SecretStr(self._secret.read_text())


def private(path: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def read_users(path: Path) -> dict[str, SecretStr]:
    """Read users from lines of ``name=password``; raises `EmbeddedError`."""
    try:
        lines: Sequence[str] = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EmbeddedError(f"{path}: can't be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    users: dict[str, SecretStr] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, password = line.partition("=")
        if not name.strip() or not password:
            raise EmbeddedError(f"{path}, line {number}: write name=password")
        users[name.strip()] = SecretStr(password)
    return users


def _scram(name: str, password: SecretStr) -> str:
    """Write a user's credential as ``kafka-storage format`` takes it (RFC 5802, section 3, ``SaltedPassword``)."""
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = pbkdf2_hmac("sha512", password.get_secret_value().encode(), salt, _ITERATIONS)
    parts = f'salt="{b64encode(salt).decode()}",saltedpassword="{b64encode(salted).decode()}"'
    return f'SCRAM-SHA-512=[name="{name}",{parts},iterations={_ITERATIONS}]'
