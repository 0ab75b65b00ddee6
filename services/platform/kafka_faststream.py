"""How a process gets into Kafka, in FastStream's words."""

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.platform.kafka_security import Brokers, Mechanism, Security

_SASL = {
    Mechanism.SCRAM_SHA_512: SASLScram512,
    Mechanism.SCRAM_SHA_256: SASLScram256,
    Mechanism.PLAIN: SASLPlaintext,
}


def faststream_security(brokers: Brokers) -> BaseSecurity | None:
    """Give FastStream's description of the way in; None for brokers that ask for nothing."""
    if brokers.security is Security.PLAINTEXT:
        return None
    if brokers.username is None or brokers.password is None:
        return BaseSecurity(ssl_context=brokers.tls)
    return _SASL[brokers.mechanism](brokers.username, brokers.password.get_secret_value(), ssl_context=brokers.tls)
