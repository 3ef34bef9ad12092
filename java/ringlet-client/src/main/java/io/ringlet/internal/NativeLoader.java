package io.ringlet.internal;

import io.ringlet.NativeLibraryException;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.module.FindException;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReader;
import java.lang.module.ModuleReference;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * Finds and loads libringlet_jni.so, once a class loader; any number of them may have it. First {@code -Dringlet.native.path} (a
 * file, or a directory that has it); without that property the one in the jar ringlet-native-PLATFORM, unpacked to a private
 * directory named by its SHA-256 under {@code -Dringlet.native.dir} or the temporary directory. A
 * failure is remembered and thrown again, with every path that was tried.
 */
public final class NativeLoader {
  /** The C header's RINGLET_ABI_MAJOR that this code was written for. */
  private static final int ABI_MAJOR = 1;

  private static final String FILE = "libringlet_jni.so";
  private static final Set<PosixFilePermission> PRIVATE =
      PosixFilePermissions.fromString("rwx------");

  private static boolean loaded;
  private static String failure;
  private static Throwable cause;

  private NativeLoader() {}

  /** Loads the library if that has not happened yet. */
  public static synchronized void load() {
    if (loaded) {
      return;
    }
    if (failure == null) {
      List<String> tried = new ArrayList<>();
      try {
        Path file = find(System.getProperty("ringlet.native.path", ""),
            System.getProperty("ringlet.native.dir", ""), tried);
        loadFor(file.toAbsolutePath(), tried);
        checkAbi(RingletNative.abiVersion());
        loaded = true;
        return;
      } catch (UnsatisfiedLinkError | IOException | RuntimeException e) {
        cause = e;
        failure = message(e, tried);
      }
    }
    throw new NativeLibraryException(failure, cause);
  }

  /**
   * A virtual machine takes a name of a file for one class loader at a time, and this may be the
   * second one (an application that is deployed again, or two of them). It loads a link to the file:
   * that is another name, and the same code in memory.
   */
  private static void loadFor(Path file, List<String> tried) throws IOException {
    try {
      System.load(file.toString());
      return;
    } catch (UnsatisfiedLinkError e) {
      if (!String.valueOf(e.getMessage()).contains("already loaded in another classloader")) {
        throw e;
      }
    }
    String given = System.getProperty("ringlet.native.dir", "");
    Path base = Path.of(given.isEmpty() ? System.getProperty("java.io.tmpdir") : given);
    // A file that was given may lie where no link can be made.
    Path own = System.getProperty("ringlet.native.path", "").isEmpty()
        ? file : unpack(Files.readAllBytes(file), base, tried, " (for another class loader)");
    Path link = own.resolveSibling("libringlet_jni-" + UUID.randomUUID() + ".so");
    tried.add(link + " (for another class loader)");
    try {
      try {
        Files.createLink(link, own);
      } catch (IOException | UnsupportedOperationException e) {
        Files.copy(own, link);
      }
      System.load(link.toString());
    } finally {
      // What is loaded needs its name no more.
      Files.deleteIfExists(link);
    }
  }

  /** Separate from {@link #load} so that a test can ask for other places. */
  static Path find(String path, String directory, List<String> tried) throws IOException {
    if (!path.isEmpty()) {
      Path file = Path.of(path);
      if (Files.isDirectory(file)) {
        file = file.resolve(FILE);
      }
      tried.add(file + " (from -Dringlet.native.path)");
      if (!Files.isRegularFile(file)) {
        throw new IOException("no such file: " + file);
      }
      return file;
    }
    String resource = "io/ringlet/native/" + platform() + "/" + FILE;
    tried.add("resource " + resource);
    byte[] content;
    try (InputStream in = open(resource, module(platform()))) {
      if (in == null) {
        throw new IOException("wanted the jar ringlet-native-" + platform()
            + " beside this one: no jar has a library for " + platform());
      }
      content = in.readAllBytes();
    }
    boolean given = !directory.isEmpty();
    Path base = Path.of(given ? directory : System.getProperty("java.io.tmpdir"));
    return unpack(content, base, tried, given ? " (from -Dringlet.native.dir)" : "");
  }

  /** The name of the module that ringlet-native-PLATFORM is. */
  static String module(String platform) {
    return "io.ringlet.natives." + platform.replace('-', '.');
  }

  /**
   * The library is in a jar of its own. On the class path the class loader finds it; on the module path no
   * module requires that jar (it differs by platform), so that it is not resolved, and it is read
   * where it lies.
   *
   * @return null where no jar has it
   */
  static InputStream open(String resource, String module) throws IOException {
    InputStream in = NativeLoader.class.getClassLoader().getResourceAsStream(resource);
    if (in != null || !NativeLoader.class.getModule().isNamed()) {
      return in;
    }
    Path[] places = Stream.of(System.getProperty("jdk.module.path", "").split(File.pathSeparator))
        .filter(place -> !place.isEmpty()).map(Path::of).toArray(Path[]::new);
    try {
      Optional<ModuleReference> found =
          ModuleFinder.compose(ModuleFinder.of(places), ModuleFinder.ofSystem()).find(module);
      if (found.isEmpty()) {
        return null;
      }
      try (ModuleReader reader = found.get().open()) {
        Optional<InputStream> content = reader.open(resource);
        if (content.isEmpty()) {
          return null;
        }
        try (InputStream source = content.get()) {
          return new ByteArrayInputStream(source.readAllBytes());
        }
      }
    } catch (FindException e) {
      throw new IOException("the module path cannot be read: " + e.getMessage(), e);
    }
  }

  private static void checkAbi(int abi) throws IOException {
    if (abi >>> 16 != ABI_MAJOR) {
      throw new IOException("wanted ABI " + ABI_MAJOR + ".x, got " + (abi >>> 16) + "."
          + (abi & 0xffff));
    }
  }

  static String message(Throwable e, List<String> tried) {
    StringBuilder text =
        new StringBuilder("cannot load " + FILE + ": " + e.getMessage() + "; tried:");
    tried.forEach(path -> text.append("\n  ").append(path));
    String reason = String.valueOf(e.getMessage());
    if (reason.contains("failed to map segment")
        || reason.contains("Operation not permitted")) {
      text.append(
          "\nThe directory may be mounted noexec: give another by -Dringlet.native.dir=DIR.");
    } else {
      text.append("\nGive the library's path by -Dringlet.native.path=FILE.");
    }
    return text.toString();
  }

  private static String platform() {
    return platform(System.getProperty("os.name", ""), System.getProperty("os.arch", ""),
        isMusl(Path.of("/proc/self/maps")));
  }

  /** Names the folder of the jar as bindings/java/CMakeLists.txt does. */
  static String platform(String name, String architecture, boolean musl) {
    String os = name.toLowerCase(Locale.ROOT);
    String arch = switch (architecture) {
      case "amd64" -> "x86_64";
      case "arm64" -> "aarch64";
      default -> architecture;
    };
    return (os.startsWith("linux") ? "linux" : os.replace(' ', '_')) + "-" + arch
        + (musl ? "-musl" : "");
  }

  /**
   * Whether this process runs on musl. That its loader lies in /lib says nothing: Debian's package
   * {@code musl} puts it beside glibc.
   */
  static boolean isMusl(Path maps) {
    try (Stream<String> lines = Files.lines(maps, StandardCharsets.ISO_8859_1)) {
      return lines.anyMatch(line -> {
        String file = line.substring(line.lastIndexOf('/') + 1);
        return file.startsWith("ld-musl-") || file.startsWith("libc.musl-");
      });
    } catch (IOException | UncheckedIOException e) {
      return false;
    }
  }

  private static Path unpack(byte[] content, Path base, List<String> tried, String from)
      throws IOException {
    String name = "ringlet-" + System.getProperty("user.name", "") + "-" + sha256(content);
    Path directory = base.resolve(name.replace('/', '_'));
    Path file = directory.resolve(FILE);
    tried.add(file + from);
    try {
      Files.createDirectories(base);
      if (!Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
        Path fresh =
            Files.createTempDirectory(
                base, "ringlet-", PosixFilePermissions.asFileAttribute(PRIVATE));
        Files.write(fresh.resolve(FILE), content);
        try {
          Files.move(fresh, directory, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
          return fresh.resolve(FILE);
        } catch (IOException e) {
          // Another process was first; its content is compared below like any other.
          Files.deleteIfExists(fresh.resolve(FILE));
          Files.deleteIfExists(fresh);
        }
      }
      // Somebody else's directory of this name must not bring in somebody else's code.
      if (!Files.getOwner(directory, LinkOption.NOFOLLOW_LINKS).equals(ownerOfNewFiles(base))
          || !PRIVATE.equals(Files.getPosixFilePermissions(directory, LinkOption.NOFOLLOW_LINKS))) {
        throw new IOException(directory + " is not a private directory of this user");
      }
      if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
          || !Arrays.equals(Files.readAllBytes(file), content)) {
        throw new IOException(file + " is damaged: wanted SHA-256 " + sha256(content)
            + "; delete it");
      }
      return file;
    } catch (UnsupportedOperationException e) {
      throw new IOException("no private directory can be made in " + base, e);
    }
  }

  private static Object ownerOfNewFiles(Path base) throws IOException {
    Path probe = Files.createTempFile(base, "ringlet-", ".owner");
    try {
      return Files.getOwner(probe);
    } finally {
      Files.delete(probe);
    }
  }

  private static String sha256(byte[] content) throws IOException {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IOException("SHA-256 is missing in this Java", e);
    }
  }
}
