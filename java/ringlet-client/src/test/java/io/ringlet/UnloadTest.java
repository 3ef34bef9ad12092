package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Class loaders that come and go with Ringlet in them, as in servers that deploy again. */
@Timeout(280)
final class UnloadTest {
  private static final int ROUNDS = 50;

  /** Runs inside such a class loader; a class of the test's own loader has the same name. */
  public static final class Application implements Supplier<String> {
    @Override
    public String get() {
      try (LocalCluster cluster = LocalCluster.start(1);
          RingletClient client = RingletClient.builder().seeds(cluster.seeds())
              .timeout(Duration.ofSeconds(30)).closeOnShutdown(true).build()) {
        Bucket<String> bucket = client.bucket("b", Codec.TEXT)
            .withResolver(siblings -> siblings.get(0).value());
        bucket.put(Key.of("k"), "tea");
        bucket.put(Key.of("k"), "milk");
        bucket.update(Key.of("k"), old -> "merged");
        CompletableFuture<Versioned<String>> asked =
            bucket.updateAsync(Key.of("k"), old -> old + "!");
        // An error of the native library becomes an exception of this loader's class.
        try {
          bucket.putAsync(Key.of("k"), "x", new Context(new byte[] {1})).get(60, TimeUnit.SECONDS);
          return "no error";
        } catch (ExecutionException | DataException | UsageException e) {
          asked.get(60, TimeUnit.SECONDS);
        }
        return bucket.get(Key.of("k")).value();
      } catch (Exception e) {
        return e.toString();
      }
    }
  }

  /** Without a parent: the built-in loaders know the packages of the module that these tests are in. */
  private static URLClassLoader loader() throws Exception {
    return new URLClassLoader(new URL[] {Path.of("target/classes").toUri().toURL(),
        Path.of("target/test-classes").toUri().toURL(),
        Path.of("../ringlet-native-linux-x86_64/target/classes").toUri().toURL()}, null);
  }

  private static String runIn(ClassLoader loader) throws Exception {
    Class<?> type = loader.loadClass(Application.class.getName());
    assertNotSame(Application.class, type);
    return (String) ((Supplier<?>) type.getDeclaredConstructor().newInstance()).get();
  }

  private static long mappings() throws Exception {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/maps"))) {
      return lines.filter(line -> line.contains("libringlet_jni")).count();
    }
  }

  private static WeakReference<ClassLoader> used() throws Exception {
    try (URLClassLoader loader = loader()) {
      assertEquals("merged!", runIn(loader));
      return new WeakReference<>(loader);
    }
  }

  @Test
  void twoClassLoadersHaveRingletAtTheSameTime() throws Exception {
    TestCluster.SHARED.size();
    try (URLClassLoader one = loader(); URLClassLoader other = loader()) {
      assertEquals("merged!", runIn(one));
      assertEquals("merged!", runIn(other));
      assertEquals("merged!", runIn(one));
    }
  }

  @Test
  void fiftyLoadsAndUnloadsLeaveNothing() throws Exception {
    TestCluster.SHARED.size();
    used();
    long before = mappings();
    List<WeakReference<ClassLoader>> all = new ArrayList<>();
    for (int i = 0; i < ROUNDS; i++) {
      all.add(used());
    }
    for (int i = 0; i < 600 && all.stream().anyMatch(one -> one.get() != null); i++) {
      System.gc();
      Thread.sleep(50);
    }
    assertEquals(0, all.stream().filter(one -> one.get() != null).count(), "class loaders kept");
    assertTrue(mappings() <= before, "the library is mapped more than once: " + mappings());
  }
}
