package example;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * What is owed to each unit, in each currency, from domain.billing alone.
 *
 * <p>Prints {@code unit,currency,issued_minor,paid_minor}. Values are in the Confluent wire format,
 * so Confluent's KafkaAvroDeserializer reads them too; here the few lines that it takes are written
 * out, since that class is not on Maven Central.
 */
public final class Balances {
  private final HttpClient http = HttpClient.newHttpClient();
  private final Map<Integer, Schema> schemas = new HashMap<>();
  private final String registry;

  /** The last word on a thing: its number, its event, and its kind. */
  private record Last(long epoch, long seq, String type, GenericRecord event) {}

  private Balances(String registry) {
    this.registry = registry;
  }

  public static void main(String[] args) throws Exception {
    String kafka = setting("KAFKA", "127.0.0.1:9092");
    String registry = setting("REGISTRY", "http://127.0.0.1:8085/apis/ccompat/v7");
    String topic = setting("PREFIX", "") + "domain.billing";
    Map<String, Last> things = new Balances(registry).read(kafka, topic);
    print(things);
  }

  private Map<String, Last> read(String kafka, String topic) throws Exception {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", kafka);
    settings.put("enable.auto.commit", "false");
    Map<String, Last> things = new HashMap<>();
    try (var consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(it -> new TopicPartition(topic, it.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(it -> consumer.position(it) < ends.get(it))) {
        for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
          take(things, record);
        }
      }
    }
    return things;
  }

  private void take(Map<String, Last> things, ConsumerRecord<String, byte[]> record)
      throws Exception {
    GenericRecord event = decode(record.value());
    long epoch = Long.parseLong(header(record, "ce_unitepoch"));
    long seq = Long.parseLong(header(record, "ce_unitseq"));
    String thing = record.key() + " " + header(record, "ce_subject");
    Last last = things.get(thing);
    // A number that is not greater is a repeat after a fail-over.
    if (last == null || epoch > last.epoch || (epoch == last.epoch && seq > last.seq)) {
      things.put(thing, new Last(epoch, seq, header(record, "ce_type"), event));
    }
  }

  private static void print(Map<String, Last> things) {
    Map<String, long[]> sums = new TreeMap<>();
    things.forEach(
        (thing, last) -> {
          GenericRecord event = last.event;
          if (last.type.endsWith("_removed") || event.get("currency") == null) {
            return;
          }
          String unit = thing.substring(0, thing.indexOf(' '));
          long[] sum = sums.computeIfAbsent(unit + "," + event.get("currency"), k -> new long[2]);
          if (last.type.startsWith("billing.invoice_")) {
            boolean issued = "issued".equals(String.valueOf(event.get("status")));
            sum[0] += issued ? amount(event, "total_minor") : 0;
          } else if (last.type.startsWith("billing.payment_")) {
            sum[1] += amount(event, "amount_minor");
          }
        });
    System.out.println("unit,currency,issued_minor,paid_minor");
    sums.forEach((key, sum) -> System.out.println(key + "," + sum[0] + "," + sum[1]));
  }

  private static long amount(GenericRecord event, String field) {
    return event.get(field) instanceof Number number ? number.longValue() : 0;
  }

  /** A zero byte, the schema's id in four bytes, then Avro. */
  private GenericRecord decode(byte[] value) throws Exception {
    ByteBuffer bytes = ByteBuffer.wrap(value);
    if (bytes.get() != 0) {
      throw new IllegalArgumentException("not in the Confluent wire format");
    }
    Schema schema = schema(bytes.getInt());
    var reader = new GenericDatumReader<GenericRecord>(schema);
    var decoder = DecoderFactory.get();
    return reader.read(null, decoder.binaryDecoder(value, 5, value.length - 5, null));
  }

  private Schema schema(int id) throws Exception {
    Schema known = schemas.get(id);
    if (known == null) {
      URI uri = URI.create(registry + "/schemas/ids/" + id);
      var request = HttpRequest.newBuilder(uri).build();
      HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() != 200) {
        throw new IllegalStateException("the registry answered " + answer.statusCode());
      }
      String text = new ObjectMapper().readTree(answer.body()).get("schema").asText();
      known = new Schema.Parser().parse(text);
      schemas.put(id, known);
    }
    return known;
  }

  private static String header(ConsumerRecord<?, ?> record, String name) {
    var header = record.headers().lastHeader(name);
    return header == null ? "" : new String(header.value(), StandardCharsets.UTF_8);
  }

  private static String setting(String name, String fallback) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? fallback : value;
  }
}
