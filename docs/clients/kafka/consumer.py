#!/usr/bin/env python3
"""A consumer of the platform's events, as small as it can be: reads them from Kafka and applies each once.

    pip install -r requirements.txt
    python3 consumer.py --database events.db bootstrap.servers=127.0.0.1:9092 group.id=quality

Every further KEY=VALUE is a property of librdkafka, such as security.protocol=SASL_SSL, ssl.ca.location=ca.pem,
sasl.mechanism=SCRAM-SHA-512, sasl.username=quality; the password comes from KAFKA_PASSWORD.

What a consumer of yours should keep of it: an event may come again, alone or with those after it, so drop what has a
`sequence` not above the last one of its key. That last one is kept with the effect, here in one transaction of SQLite;
only then is the group's offset committed. Whatever dies in between, events are read again and dropped.
"""

import argparse
import json
import os
import signal
import sqlite3
import time

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

BATCH_MAX = 500  # messages in one transaction
WAIT_SECONDS = 0.5

TABLES = """
CREATE TABLE IF NOT EXISTS last_sequence (topic TEXT, key TEXT, sequence INTEGER NOT NULL, PRIMARY KEY (topic, key));
CREATE TABLE IF NOT EXISTS event (
    id TEXT PRIMARY KEY, topic TEXT, type TEXT, subject TEXT, sequence INTEGER, dataschema TEXT, data TEXT
);
"""


def event_of(message: Message) -> BaseCloudEvent:
    """The CloudEvent in a message. Binary mode: attributes are headers `ce_…`, the value is the data."""
    headers = dict(message.headers() or [])
    return from_kafka_event(KafkaMessage(headers=headers, key=message.key(), value=message.value()))


def apply(database: sqlite3.Connection, topic: str, key: str, event: BaseCloudEvent) -> bool:
    """Applies the event unless it was applied before; says whether it did. The caller commits."""
    sequence = int(event.get_extension("sequence"))
    moved = database.execute(
        "INSERT INTO last_sequence VALUES (?, ?, ?) ON CONFLICT (topic, key) DO UPDATE"
        " SET sequence = excluded.sequence WHERE excluded.sequence > last_sequence.sequence",
        (topic, key, sequence),
    )
    if moved.rowcount == 0:
        return False
    # What a consumer is for stands here, in the same transaction. This one keeps the events.
    database.execute(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            event.get_id(),
            topic,
            event.get_type(),
            event.get_subject(),
            sequence,
            event.get_dataschema(),
            json.dumps(event.get_data(), ensure_ascii=False),
        ),
    )
    return True


def messages_of(consumer: Consumer) -> list[Message]:
    """The next messages, none after a while without any. That a topic is not there yet passes by itself."""
    messages = consumer.consume(BATCH_MAX, WAIT_SECONDS)
    for message in messages:
        error = message.error()
        if error is not None and error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(error)
    return [message for message in messages if message.error() is None]


def run(consumer: Consumer, database: sqlite3.Connection, idle_seconds: float | None) -> None:
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    quiet_since = time.monotonic()
    while not stopping:
        messages = messages_of(consumer)
        if messages or not consumer.assignment():
            quiet_since = time.monotonic()
        if not messages:
            if idle_seconds is not None and time.monotonic() - quiet_since > idle_seconds:
                return
            continue
        with database:
            for message in messages:
                key = message.key().decode()
                event = event_of(message)
                is_new = apply(database, message.topic(), key, event)
                at = f"{message.topic()}[{message.partition()}]@{message.offset()}"
                said = "new  " if is_new else "again"
                print(said, at, event.get_type(), key, event.get_extension("sequence"), flush=True)
        consumer.commit(asynchronous=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topics", default=r"^chipq\..*", help="a topic, or a regular expression that begins with ^")
    parser.add_argument("--database", default="events.db")
    parser.add_argument("--idle-seconds", type=float, help="end after so long without a message")
    parser.add_argument("properties", nargs="+", metavar="KEY=VALUE")
    arguments = parser.parse_args()

    properties = dict(one.split("=", 1) for one in arguments.properties)
    if "KAFKA_PASSWORD" in os.environ:
        properties["sasl.password"] = os.environ["KAFKA_PASSWORD"]
    consumer = Consumer({"auto.offset.reset": "earliest", "enable.auto.commit": False, **properties})
    database = sqlite3.connect(arguments.database)
    database.executescript(TABLES)
    consumer.subscribe([arguments.topics])
    try:
        run(consumer, database, arguments.idle_seconds)
    finally:
        # Says goodbye to the group, so that its partitions go to another member at once.
        consumer.close()
        database.close()


if __name__ == "__main__":
    main()
