package io.ringlet.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLoaderTest {
  @Test
  void aMissingFileIsNamedWithEveryPathTried(@TempDir Path directory) {
    List<String> tried = new ArrayList<>();
    IOException e = assertThrows(IOException.class,
        () -> NativeLoader.find(directory.toString(), "", tried));
    String message = NativeLoader.message(e, tried);
    assertTrue(message.contains("cannot load libringlet_jni.so: no such file"), message);
    assertTrue(
        message.contains(directory + "/libringlet_jni.so (from -Dringlet.native.path)"), message);
    assertTrue(message.contains("-Dringlet.native.path=FILE"), message);
  }

  @Test
  void theJarsLibraryGoesToAPrivateDirectoryAndADamagedCopyIsRefused(@TempDir Path base)
      throws Exception {
    NativeLoader.find("", base.toString(), new ArrayList<>());
    Path directory;
    try (Stream<Path> entries = Files.list(base)) {
      directory = entries.findFirst().orElseThrow();
    }
    assertTrue(
        directory.getFileName().toString().matches("ringlet-.*-[0-9a-f]{64}"),
            directory.toString());
    assertEquals(
        "rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(directory)));
    Path library = directory.resolve("libringlet_jni.so");
    Files.write(library, new byte[] {1});
    List<String> tried = new ArrayList<>();
    IOException e =
        assertThrows(IOException.class, () -> NativeLoader.find("", base.toString(), tried));
    assertTrue(e.getMessage().contains("is damaged: wanted SHA-256"), e.getMessage());
    assertTrue(NativeLoader.message(e, tried).contains(library + " (from -Dringlet.native.dir)"));
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertTrue(assertThrows(IOException.class, () -> NativeLoader.find("", base.toString(), tried))
        .getMessage().contains("is not a private directory"));
  }

  @Test
  void aPointerIsFreedOnceByWhoLeavesLast() {
    AtomicInteger freed = new AtomicInteger();
    NativeRef ref = new NativeRef(42, pointer -> freed.addAndGet((int) pointer));
    assertEquals(42, ref.use());
    ref.close();
    ref.close();
    assertEquals(0, freed.get());
    assertEquals(0, ref.use());
    ref.done();
    assertEquals(42, freed.get());
    ref.close();
    assertEquals(42, freed.get());
    assertTrue(ref.isClosed());
  }

  @Test
  void theFolderInTheJarIsOfTheProcessorAndTheLibraryOfC(@TempDir Path directory) throws Exception {
    assertEquals("linux-x86_64", NativeLoader.platform("Linux", "amd64", false));
    assertEquals("linux-x86_64-musl", NativeLoader.platform("Linux", "x86_64", true));
    assertEquals("linux-aarch64", NativeLoader.platform("Linux", "aarch64", false));
    assertEquals("linux-aarch64", NativeLoader.platform("Linux", "arm64", false));
    assertEquals("mac_os_x-aarch64", NativeLoader.platform("Mac OS X", "aarch64", false));
    // A library of musl in /lib is no sign: what this process has mapped is.
    Path maps = directory.resolve("maps");
    Files.writeString(maps, "7f00-7f01 r-xp 0 08:01 1   /usr/lib/x86_64-linux-gnu/libc.so.6\n"
        + "7f02-7f03 r--s 0 08:01 2   /lib/notes-on-ld-musl-x86_64\n");
    assertFalse(NativeLoader.isMusl(maps));
    Files.writeString(maps, "7f00-7f01 r-xp 0 08:01 1   /lib/ld-musl-x86_64.so.1\n");
    assertTrue(NativeLoader.isMusl(maps));
    assertFalse(NativeLoader.isMusl(directory.resolve("none")));
    assertFalse(NativeLoader.isMusl(Path.of("/proc/self/maps")), "this Java is of glibc");
  }
}
