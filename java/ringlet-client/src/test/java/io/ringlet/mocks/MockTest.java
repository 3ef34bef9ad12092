package io.ringlet.mocks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ringlet.Bucket;
import io.ringlet.Codec;
import io.ringlet.Key;
import io.ringlet.LocalCluster;
import io.ringlet.RingletClient;
import io.ringlet.Sibling;
import io.ringlet.Versioned;
import io.ringlet.document.DocumentBucket;
import java.lang.reflect.Modifier;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What an application's tests, and proxies of frameworks, do: they make subclasses. */
final class MockTest {
  private static class MockBucket extends Bucket<String> {
    @Override
    public Versioned<String> get(Key key) {
      return Versioned.of(key, List.of(Sibling.of("mocked", Instant.EPOCH)));
    }
  }

  private static class MockClient extends RingletClient {
    @Override
    @SuppressWarnings("unchecked")
    public <T> Bucket<T> bucket(String name, Codec<T> codec) {
      return (Bucket<T>) new MockBucket();
    }
  }

  @Test
  void aMockAnswersInPlaceOfTheCluster() {
    try (RingletClient client = new MockClient()) {
      Bucket<String> bucket = client.bucket("b", Codec.TEXT);
      assertEquals("mocked", bucket.get(Key.of("k")).value());
      assertTrue(Versioned.of(Key.of("k"), List.<Sibling<String>>of()).isMissing());
      String message = assertThrows(UnsupportedOperationException.class,
          () -> bucket.put(Key.of("k"), "v")).getMessage();
      assertTrue(message.contains("MockBucket overrides too little"), message);
      assertThrows(UnsupportedOperationException.class, () -> bucket.getAsync(Key.of("k")));
      assertThrows(UnsupportedOperationException.class, () -> bucket.withR(2));
      assertThrows(UnsupportedOperationException.class, client::counters);
    }
  }

  @Test
  void whatAnApplicationIsGivenCanBeProxied() throws Exception {
    for (Class<?> type : List.of(RingletClient.class, Bucket.class, DocumentBucket.class,
        LocalCluster.class, Versioned.class)) {
      assertFalse(Modifier.isFinal(type.getModifiers()), type::getName);
      assertTrue(Modifier.isProtected(type.getDeclaredConstructor().getModifiers()), type::getName);
      for (var method : type.getMethods()) {
        if (method.getDeclaringClass() == type) {
          assertFalse(Modifier.isFinal(method.getModifiers()), method::toString);
        }
      }
    }
  }
}
