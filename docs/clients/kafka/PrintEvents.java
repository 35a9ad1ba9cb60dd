import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.CloudEventDeserializer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads the platform's events from Kafka as CloudEvents, with the CloudEvents SDK's own deserializer, and prints one line
 * of JSON for each. A message that is none ends the program with an error.
 *
 * <p>Arguments: a file of consumer properties, a regular expression of topics, and after how many seconds without a
 * message it ends. Events that came again are printed again: whoever applies them drops what has a sequence not above the
 * last one of its key, as consumer.py shows.
 */
public final class PrintEvents {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        var properties = new Properties();
        try (var file = Files.newBufferedReader(Path.of(arguments[0]))) {
            properties.load(file);
        }
        var topics = Pattern.compile(arguments[1]);
        var patience = Duration.ofSeconds(Long.parseLong(arguments[2]));
        properties.putIfAbsent("auto.offset.reset", "earliest");
        properties.putIfAbsent("enable.auto.commit", "false");

        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        try (var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new CloudEventDeserializer())) {
            consumer.subscribe(topics);
            var quietSince = System.nanoTime();
            while (System.nanoTime() - quietSince < patience.toNanos()) {
                var records = consumer.poll(Duration.ofMillis(500));
                for (var message : records) {
                    out.println(line(message));
                }
                out.flush();
                if (!records.isEmpty()) {
                    consumer.commitSync();
                }
                // Until the group has given it partitions there is nothing to be quiet about.
                if (!records.isEmpty() || consumer.assignment().isEmpty()) {
                    quietSince = System.nanoTime();
                }
            }
        }
    }

    private static String line(ConsumerRecord<String, CloudEvent> message) throws IOException {
        var event = message.value();
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("id", event.getId());
        fields.put("type", event.getType());
        fields.put("source", event.getSource().toString());
        fields.put("subject", event.getSubject());
        fields.put("sequence", event.getExtension("sequence"));
        fields.put("time", event.getTime().toString());
        fields.put("dataschema", event.getDataSchema().toString());
        fields.put("topic", message.topic());
        fields.put("partition", message.partition());
        fields.put("offset", message.offset());
        fields.put("key", message.key());
        fields.put("data", JSON.readTree(event.getData().toBytes()));
        return JSON.writeValueAsString(fields);
    }
}
