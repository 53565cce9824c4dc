"""No-shows per unit and week, from the public topics alone.

Reads domain.scheduling and domain.units from their beginning to where they end now, keeps the last
state of every appointment, and asks DuckDB. It needs no account at any clinic and sees no name.
"""

import argparse
import csv
import sys
import uuid

import duckdb
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

SECONDS_WITHOUT_NEWS = 60

QUERY = """
    SELECT unit,
           strftime(starts_at AT TIME ZONE 'UTC', '%G-W%V') AS week,
           count(*) FILTER (status = 'noshow') AS no_shows,
           count(*) FILTER (status IN ('noshow', 'arrived', 'fulfilled')) AS expected
    FROM appointments
    GROUP BY ALL
    HAVING expected > 0
    ORDER BY unit, week
"""


def to_the_end(bootstrap, topics):
    """Yields every message of the topics from the beginning to the end as it is now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            # Nothing is committed: each run reads everything and is the same as the last.
            "group.id": f"analyst-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    known = consumer.list_topics(timeout=30).topics
    open_partitions = set()
    for topic in topics:
        if topic not in known or known[topic].error is not None:
            sys.exit(f"{topic} does not exist on {bootstrap}")
        open_partitions |= {(topic, number) for number in known[topic].partitions}
    consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for topic, n in open_partitions])
    while open_partitions:
        message = consumer.poll(SECONDS_WITHOUT_NEWS)
        if message is None:
            sys.exit(f"{bootstrap} was silent for {SECONDS_WITHOUT_NEWS} s")
        if message.error() is None:
            yield message
        elif message.error().code() == KafkaError._PARTITION_EOF:
            open_partitions.discard((message.topic(), message.partition()))
        else:
            sys.exit(f"{message.topic()}: {message.error()}")
    consumer.close()


def appointments(messages, deserializer):
    """The last state of every appointment, as (unit, id, starts_at, status)."""
    last, seeded = {}, {}
    for message in messages:
        headers = dict(message.headers() or [])
        unit = message.key().decode()
        seq = (int(headers["ce_unitepoch"]), int(headers["ce_unitseq"]))
        kind = headers["ce_type"].decode()
        if kind == "units.epoch_seeded":
            seeded[unit] = max(seeded.get(unit, 0), seq[0])
        if not kind.startswith("scheduling.appointment_"):
            continue
        where = SerializationContext(message.topic(), MessageField.VALUE)
        event = deserializer(message.value(), where)
        key = (unit, event["appointment_id"])
        # A number that is not greater is a repeat after a fail-over.
        if key not in last or last[key][0] < seq:
            last[key] = (seq, kind, event)
    for (unit, appointment), (seq, kind, event) in last.items():
        # What a new epoch did not restate is gone, as is what was removed.
        gone = kind.endswith("_removed") or seq[0] < seeded.get(unit, 0)
        if not gone and event["starts_at"] is not None:
            yield unit, appointment, event["starts_at"], event["status"]


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--bootstrap", default="127.0.0.1:9092")
    options.add_argument("--registry", default="http://127.0.0.1:8085/apis/ccompat/v7")
    options.add_argument("--prefix", default="", help="stands before every topic's name")
    options.add_argument("--parquet", help="also keep the appointments in this file")
    told = options.parse_args()

    deserializer = AvroDeserializer(SchemaRegistryClient({"url": told.registry}))
    topics = [f"{told.prefix}domain.scheduling", f"{told.prefix}domain.units"]
    rows = appointments(to_the_end(told.bootstrap, topics), deserializer)

    database = duckdb.connect()
    database.execute(
        "CREATE TABLE appointments"
        " (unit TEXT, appointment_id TEXT, starts_at TIMESTAMPTZ, status TEXT)"
    )
    rows = list(rows)
    if rows:
        database.executemany("INSERT INTO appointments VALUES (?, ?, ?, ?)", rows)
    if told.parquet:
        database.table("appointments").write_parquet(told.parquet)
    answer = csv.writer(sys.stdout, lineterminator="\n")
    found = database.execute(QUERY)
    answer.writerow([column[0] for column in found.description])
    answer.writerows(found.fetchall())


if __name__ == "__main__":
    main()
