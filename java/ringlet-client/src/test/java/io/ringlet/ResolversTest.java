package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.time.Instant;
import java.util.Arrays;
import java.util.Comparator;
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

  private record Item(String name, long price) {}

  @Test
  void whatTheOrderOfAListHoldsEqualIsAllKept() throws Exception {
    Comparator<Item> byPrice = Comparator.comparingLong(Item::price);
    Item tea = new Item("tea", 3);
    Item milk = new Item("milk", 3);
    Item salt = new Item("salt", 1);
    List<Item> wanted = List.of(salt, milk, tea);
    for (ConflictResolver<List<Item>> resolver
        : List.of(Resolvers.orderedSet(byPrice), Resolvers.keepAll(byPrice))) {
      Sibling<List<Item>> a = sibling(List.of(tea, salt), 1, 1);
      Sibling<List<Item>> b = sibling(List.of(milk, tea), 2, 2);
      assertEquals(wanted, resolver.resolve(List.of(a, b)));
      assertEquals(wanted, resolver.resolve(List.of(b, a)));
      assertEquals(wanted, resolver.resolve(List.of(sibling(wanted, 3, 3), b, a)));
    }
    ConflictResolver<List<byte[]>> bytes = Resolvers.orderedSet(Arrays::compare);
    assertEquals(2, bytes.resolve(List.of(sibling(List.of(new byte[] {1}, new byte[] {2}), 1, 1),
        sibling(List.of(new byte[] {1}), 2, 2))).size());
  }
}
