package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ResolversTest {
  private static <T> Sibling<T> sibling(T value, long ms, int dot) {
    return new Sibling<>(
        value, "", Instant.ofEpochMilli(ms), new byte[] {(byte) dot}, value == null);
  }

  @Test
  void unionKeepsEverythingThatWasAdded() throws Exception {
    ConflictResolver<Set<String>> union = Resolvers.union();
    Sibling<Set<String>> a = sibling(Set.of("tea"), 1, 1);
    Sibling<Set<String>> b = sibling(Set.of("milk", "tea"), 2, 2);
    Sibling<Set<String>> gone = sibling(null, 3, 3);
    assertEquals(Set.of("milk", "tea"), union.resolve(List.of(a, b, gone)));
    assertEquals(Set.of("milk", "tea"), union.resolve(List.of(gone, b, a)));
  }

  @Test
  void lastWriteIsDecidedByTheDotWhenTimesAreEqual() throws Exception {
    ConflictResolver<String> last = Resolvers.lastWrite();
    assertEquals("new", last.resolve(List.of(sibling("new", 5, 1), sibling("old", 4, 9))));
    assertEquals("high", last.resolve(List.of(sibling("low", 5, 1), sibling("high", 5, 200))));
    assertEquals("high", last.resolve(List.of(sibling("high", 5, 200), sibling("low", 5, 1))));
    assertNull(last.resolve(List.of(sibling("old", 4, 1), sibling((String) null, 5, 1))));
  }

  @Test
  void aCounterTakesTheLargerCountOfEachWriter() throws Exception {
    Map<String, Long> all =
        Resolvers.counter().resolve(List.of(sibling(Map.of("a", 2L, "b", 1L), 1, 1),
        sibling(Map.of("a", 1L, "c", 5L), 2, 2), sibling((Map<String, Long>) null, 3, 3)));
    assertEquals(Map.of("a", 2L, "b", 1L, "c", 5L), all);
    assertEquals(8, Resolvers.sum(all));
  }
}
