package io.ringlet.ycsb;

import io.ringlet.Bucket;
import io.ringlet.Context;
import io.ringlet.Key;
import io.ringlet.RingletClient;
import io.ringlet.RingletException;
import io.ringlet.Versioned;
import io.ringlet.document.Bytes;
import io.ringlet.document.Document;
import io.ringlet.document.Edits;
import io.ringlet.document.MapEdits;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.Vector;
import site.ycsb.ByteArrayByteIterator;
import site.ycsb.ByteIterator;
import site.ycsb.DB;
import site.ycsb.DBException;
import site.ycsb.Status;

/**
 * YCSB on Ringlet. A table is a bucket, a record a document with a register for each field: updates of
 * different fields at the same time are both kept, and of one field the later one is shown. There are no scans,
 * for keys are hashed.
 *
 * <p>Properties: {@code ringlet.seeds} (127.0.0.1:7400), {@code ringlet.timeout} (of a call with its
 * retries, in ms; 10000), {@code ringlet.r}, {@code ringlet.w} (the cluster's), {@code ringlet.strict}
 * (false), and {@code ringlet.option.NAME} for each option of a client ({@code ringlet.option.cluster.name}).
 */
public class RingletDB extends DB {
  /** One client a process, which all threads of YCSB share, and how many of them have it. */
  private static RingletClient shared;

  private static int users;

  private final Map<String, Bucket<Document>> buckets = new HashMap<>();
  private boolean open;

  /** YCSB makes one a thread. */
  public RingletDB() {}

  @Override
  public void init() throws DBException {
    Properties properties = getProperties();
    synchronized (RingletDB.class) {
      try {
        if (shared == null) {
          RingletClient.Builder builder = RingletClient.builder()
              .seeds(properties.getProperty("ringlet.seeds", "127.0.0.1:7400").split(","))
              .timeout(Duration.ofMillis(number("ringlet.timeout", 10_000)));
          for (String name : properties.stringPropertyNames()) {
            if (name.startsWith("ringlet.option.")) {
              builder.option(name.substring("ringlet.option.".length()), properties.getProperty(name));
            }
          }
          shared = builder.build();
        }
        users++;
        open = true;
        // What a wrong value says, it says before the first operation.
        bucket(properties.getProperty("table", "usertable"));
      } catch (RingletException | IllegalArgumentException e) {
        throw new DBException(e);
      }
    }
  }

  @Override
  public void cleanup() throws DBException {
    synchronized (RingletDB.class) {
      if (!open) {
        return;
      }
      open = false;
      users--;
      if (users == 0) {
        shared.close();
        shared = null;
      }
    }
  }

  @Override
  public Status read(String table, String key, Set<String> fields, Map<String, ByteIterator> result) {
    try {
      Versioned<Document> found = bucket(table).get(Key.of(key));
      if (found.isMissing()) {
        return Status.NOT_FOUND;
      }
      Document record = found.value();
      if (fields == null) {
        for (Object name : record.names()) {
          take(record, String.valueOf(name), result);
        }
      } else {
        for (String name : fields) {
          take(record, name, result);
        }
      }
      return Status.OK;
    } catch (RingletException e) {
      return failed(e);
    }
  }

  @Override
  public Status scan(String table, String start, int count, Set<String> fields,
      Vector<HashMap<String, ByteIterator>> result) {
    return Status.NOT_IMPLEMENTED;
  }

  @Override
  public Status update(String table, String key, Map<String, ByteIterator> values) {
    try {
      Edits edits = new Edits();
      MapEdits record = edits.root();
      values.forEach((name, value) -> record.put(name, value.toArray()));
      bucket(table).edit(Key.of(key), edits);
      return Status.OK;
    } catch (RingletException e) {
      return failed(e);
    }
  }

  @Override
  public Status insert(String table, String key, Map<String, ByteIterator> values) {
    return update(table, key, values);
  }

  @Override
  public Status delete(String table, String key) {
    try {
      Context seen = bucket(table).get(Key.of(key)).context();
      bucket(table).delete(Key.of(key), seen);
      return Status.OK;
    } catch (RingletException e) {
      return failed(e);
    }
  }

  private static void take(Document record, String name, Map<String, ByteIterator> result) {
    Object value = record.value(name);
    if (value instanceof Bytes) {
      result.put(name, new ByteArrayByteIterator(((Bytes) value).toArray()));
    } else if (value != null) {
      result.put(name, new ByteArrayByteIterator(value.toString().getBytes(StandardCharsets.UTF_8)));
    }
  }

  private static Status failed(RingletException e) {
    return new Status(e.getClass().getSimpleName(), String.valueOf(e.getMessage()));
  }

  private Bucket<Document> bucket(String table) {
    return buckets.computeIfAbsent(table, name -> {
      Bucket<Document> bucket = shared.bucket(name, Document.CODEC)
          .withStrict(Boolean.parseBoolean(getProperties().getProperty("ringlet.strict", "false")));
      int r = number("ringlet.r", 0);
      int w = number("ringlet.w", 0);
      bucket = r == 0 ? bucket : bucket.withR(r);
      return w == 0 ? bucket : bucket.withW(w);
    });
  }

  private int number(String name, int otherwise) {
    String text = getProperties().getProperty(name);
    try {
      return text == null ? otherwise : Integer.parseInt(text);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("wanted a whole number for " + name + ", got '" + text + "'", e);
    }
  }
}
