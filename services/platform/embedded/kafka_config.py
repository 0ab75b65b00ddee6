"""The configuration of one Apache Kafka node: broker and controller in one, sized for a small machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

MIB = 1024 * 1024

LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR">
  <Appenders>
    <Console name="console" target="SYSTEM_ERR">
      <PatternLayout pattern="%d{ISO8601} %p %m (%c)%n"/>
      <ThresholdFilter level="ERROR"/>
    </Console>
    <RollingFile name="file" fileName="FOLDER/server.log" filePattern="FOLDER/server.log.%i">
      <PatternLayout pattern="%d{ISO8601} %p %m (%c)%n"/>
      <SizeBasedTriggeringPolicy size="16MB"/>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Root level="INFO"><AppenderRef ref="console"/><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


class Ports(NamedTuple):
    """The two TCP ports of one node, on 127.0.0.1."""

    broker: int
    controller: int


def server_properties(node: int, ports: Sequence[Ports], data: Path, more: Mapping[str, object] | None = None) -> str:
    """Return `server.properties` of `node` (numbered from 1) in a cluster with these ports, storing in `data`.

    `more` is what this cluster has otherwise, or besides.
    """
    brokers = len(ports)
    replicas = min(3, brokers)
    # Two of three copies, so that one lost broker stops nothing and acks=all still means more than one copy.
    in_sync = 2 if brokers >= 3 else 1
    mine = ports[node - 1]
    voters = ",".join(f"{index}@127.0.0.1:{each.controller}" for index, each in enumerate(ports, 1))
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://127.0.0.1:{mine.broker},CONTROLLER://127.0.0.1:{mine.controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{mine.broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 8,
        "offsets.topic.segment.bytes": 4 * MIB,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.segment.bytes": 4 * MIB,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        # A dead broker's partitions move after this; the default is 9 s.
        "broker.session.timeout.ms": 5000,
        "broker.heartbeat.interval.ms": 1000,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 1,
        "log.segment.bytes": 32 * MIB,
        # What such a segment needs; two files of this size are mapped for each partition, and the default is 10 MB.
        "log.index.size.max.bytes": 128 * 1024,
        "log.cleaner.threads": 1,
        "log.cleaner.dedupe.buffer.size": 16 * MIB,
        "metadata.log.segment.bytes": 16 * MIB,
    }
    return "".join(f"{name}={value}\n" for name, value in {**settings, **(more or {})}.items())


def log4j_configuration(folder: Path) -> str:
    """Return a Log4j 2 configuration: everything to `folder`/server.log (4 files of 16 MB), errors to stderr too."""
    return LOG4J.replace("FOLDER", str(folder))
