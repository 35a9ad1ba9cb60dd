"""Reads every record of some topics as a member of a group, and prints each as a line of JSON, as it is on the wire.

    read_records.py --topics REGEX --idle-seconds N [--no-commit] group.id=… bootstrap.servers=… [KEY=VALUE…]

Ends after so long without a record. Every KEY=VALUE is a property of librdkafka.
"""

import argparse
import json

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

BATCH_MAX = 1000
WAIT_SECONDS = 0.5


def text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()


def line(message: Message) -> str:
    record = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp_ms": message.timestamp()[1],
        "key": text(message.key()),
        "headers": {name: text(value) for name, value in message.headers() or []},
        "value": text(message.value()),
    }
    return json.dumps(record, ensure_ascii=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topics", required=True, metavar="REGEX")
    parser.add_argument("--idle-seconds", required=True, type=float)
    parser.add_argument("--no-commit", action="store_true")
    parser.add_argument("properties", nargs="+", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    properties = dict(one.split("=", 1) for one in arguments.properties)
    # A topic that is made meanwhile is noticed within a second.
    defaults = {"auto.offset.reset": "earliest", "enable.auto.commit": False, "topic.metadata.refresh.interval.ms": 1000}
    consumer = Consumer({**defaults, **properties})
    consumer.subscribe([f"^{arguments.topics}"])
    quiet_seconds = 0.0
    while quiet_seconds < arguments.idle_seconds:
        messages = consumer.consume(BATCH_MAX, WAIT_SECONDS)
        errors = [message.error() for message in messages if message.error() is not None]
        for error in errors:
            if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaException(error)
        records = [message for message in messages if message.error() is None]
        for message in records:
            print(line(message), flush=True)
        if records and not arguments.no_commit:
            consumer.commit(asynchronous=False)
        # Until the group has given it partitions there is nothing to be quiet about.
        quiet_seconds = 0.0 if records or not consumer.assignment() else quiet_seconds + WAIT_SECONDS
    consumer.close()


if __name__ == "__main__":
    main()
