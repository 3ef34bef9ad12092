package io.ringlet.ycsb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ringlet.LocalCluster;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.Vector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import site.ycsb.ByteIterator;
import site.ycsb.DBException;
import site.ycsb.Status;
import site.ycsb.StringByteIterator;

/** What YCSB asks of a binding, beyond what its workloads look at. */
@Timeout(120)
final class RingletDBTest {
  private static RingletDB open(String... more) throws DBException {
    Properties properties = new Properties();
    for (int i = 0; i < more.length; i += 2) {
      properties.setProperty(more[i], more[i + 1]);
    }
    RingletDB db = new RingletDB();
    db.setProperties(properties);
    db.init();
    return db;
  }

  private static Map<String, String> read(RingletDB db, String key, Set<String> fields) {
    Map<String, ByteIterator> found = new HashMap<>();
    assertEquals(Status.OK, db.read("usertable", key, fields, found));
    Map<String, String> texts = new TreeMap<>();
    found.forEach((name, value) -> texts.put(name, value.toString()));
    return texts;
  }

  @Test
  void recordsAreFieldsThatAreUpdatedEachForItself() throws Exception {
    try (LocalCluster cluster = LocalCluster.start(3)) {
      RingletDB one = open("ringlet.seeds", cluster.seeds(), "ringlet.r", "2", "ringlet.w", "2");
      RingletDB other = open("ringlet.seeds", cluster.seeds());
      Map<String, ByteIterator> record = new HashMap<>();
      record.put("field0", new StringByteIterator("a"));
      record.put("field1", new StringByteIterator("b"));
      assertEquals(Status.NOT_FOUND, one.read("usertable", "user1", null, new HashMap<>()));
      assertEquals(Status.OK, one.insert("usertable", "user1", record));
      assertEquals(Status.OK, other.update("usertable", "user1", Map.of("field1", new StringByteIterator("c"))));
      cluster.kill(1);
      assertEquals(Status.OK, one.update("usertable", "user1", Map.of("field2", new StringByteIterator("d"))));
      assertEquals(Map.of("field0", "a", "field1", "c", "field2", "d"), read(other, "user1", null));
      assertEquals(Map.of("field2", "d"), read(one, "user1", Set.of("field2", "field9")));
      assertEquals(Status.OK, one.delete("usertable", "user1"));
      assertEquals(Status.NOT_FOUND, other.read("usertable", "user1", null, new HashMap<>()));
      assertEquals(Status.NOT_IMPLEMENTED, one.scan("usertable", "user1", 10, null, new Vector<>()));
      // The client is closed with the last thread, and a cleanup more than there were inits is none.
      one.cleanup();
      one.cleanup();
      assertEquals(Status.NOT_FOUND, other.read("usertable", "user2", null, new HashMap<>()));
      other.cleanup();
    }
  }

  @Test
  void aCallThatFailsIsAnErrorWithItsName() throws Exception {
    RingletDB db = open("ringlet.seeds", "127.0.0.1:1", "ringlet.timeout", "300");
    Status status = db.read("usertable", "user1", null, new HashMap<>());
    assertTrue(!status.isOk() && status.getName().endsWith("Exception"), status.toString());
    db.cleanup();
  }

  @Test
  void aPropertyThatIsNoNumberIsRefused() {
    assertTrue(assertThrows(DBException.class, () -> open("ringlet.timeout", "soon")).getCause().getMessage()
        .contains("wanted a whole number for ringlet.timeout, got 'soon'"));
  }
}
