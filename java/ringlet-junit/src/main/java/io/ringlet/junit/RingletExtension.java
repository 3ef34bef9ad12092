package io.ringlet.junit;

import io.ringlet.Bucket;
import io.ringlet.Codec;
import io.ringlet.LocalCluster;
import io.ringlet.RingletClient;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestExecutionExceptionHandler;
import org.junit.platform.commons.support.AnnotationSupport;

/** What {@link RingletTest} stands for. */
public final class RingletExtension implements ParameterResolver, TestExecutionExceptionHandler {
  private static final ExtensionContext.Namespace NAMESPACE =
      ExtensionContext.Namespace.create(RingletExtension.class);
  private static final long SEED = seed();

  /** For JUnit. */
  public RingletExtension() {}

  private static long seed() {
    String given = System.getProperty("ringlet.seed");
    if (given == null || given.isEmpty()) {
      return new SecureRandom().nextInt(Integer.MAX_VALUE);
    }
    try {
      return Long.parseLong(given);
    } catch (NumberFormatException e) {
      throw new ExtensionConfigurationException("ringlet.seed: wanted a whole number, got '" + given + "'", e);
    }
  }

  /** Of one test: made when it is first asked for, closed with the test. */
  private static final class Kit implements ExtensionContext.Store.CloseableResource {
    private final RingletTest asked;
    private final String name;
    private final long seed;
    private LocalCluster cluster;
    private RingletClient client;
    private final List<Nemesis> nemeses = new ArrayList<>();

    Kit(RingletTest asked, String name, long seed) {
      this.asked = asked;
      this.name = name;
      this.seed = seed;
    }

    synchronized LocalCluster cluster() {
      if (cluster == null) {
        Map<String, String> options = new LinkedHashMap<>();
        for (String option : asked.options()) {
          int at = option.indexOf('=');
          if (at < 1) {
            throw new ExtensionConfigurationException(
                "@RingletTest: options: wanted name=value, got '" + option + "'");
          }
          options.put(option.substring(0, at).strip(), option.substring(at + 1).strip());
        }
        cluster = LocalCluster.start(asked.nodes(), options);
      }
      return cluster;
    }

    synchronized RingletClient client() {
      if (client == null) {
        client =
            RingletClient.builder()
                .seeds(cluster().seeds())
                .timeout(Duration.ofMillis(asked.timeoutMillis()))
                .build();
      }
      return client;
    }

    synchronized Nemesis nemesis() {
      Nemesis made = new Nemesis(cluster(), seed + nemeses.size());
      nemeses.add(made);
      return made;
    }

    synchronized List<String> faults() {
      List<String> all = new ArrayList<>();
      nemeses.forEach(nemesis -> all.addAll(nemesis.done()));
      return all;
    }

    @Override
    public synchronized void close() {
      nemeses.forEach(Nemesis::close);
      if (client != null) {
        client.close();
      }
      if (cluster != null) {
        cluster.close();
      }
    }
  }

  private static Kit kit(ExtensionContext context) {
    return context
        .getStore(NAMESPACE)
        .getOrComputeIfAbsent(
            "kit",
            key -> {
              RingletTest asked =
                  AnnotationSupport.findAnnotation(context.getElement(), RingletTest.class)
                      .or(() -> AnnotationSupport.findAnnotation(context.getTestClass(), RingletTest.class))
                      .orElseThrow(
                          () ->
                              new ExtensionConfigurationException(
                                  "wanted @RingletTest at the test or its class, found neither"));
              String name = context.getRequiredTestClass().getSimpleName() + "." + context.getDisplayName();
              // String.hashCode() is the same everywhere, by its definition.
              return new Kit(asked, name, SEED * 31 + context.getUniqueId().hashCode());
            },
            Kit.class);
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    Class<?> wanted = parameter.getParameter().getType();
    if (wanted == Bucket.class) {
      Type type = parameter.getParameter().getParameterizedType();
      return type instanceof ParameterizedType
          && ((ParameterizedType) type).getActualTypeArguments()[0] == String.class;
    }
    return wanted == LocalCluster.class
        || wanted == RingletClient.class
        || wanted == Nemesis.class
        || wanted == Random.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    if (context.getTestMethod().isEmpty()) {
      throw new ExtensionConfigurationException(
          "a cluster is made for each test: wanted a parameter of a test, @BeforeEach or @AfterEach");
    }
    Kit kit = kit(context);
    Class<?> wanted = parameter.getParameter().getType();
    if (wanted == LocalCluster.class) {
      return kit.cluster();
    }
    if (wanted == RingletClient.class) {
      return kit.client();
    }
    if (wanted == Bucket.class) {
      return kit.client().bucket(kit.name, Codec.TEXT);
    }
    return wanted == Nemesis.class ? kit.nemesis() : new Random(kit.seed);
  }

  @Override
  public void handleTestExecutionException(ExtensionContext context, Throwable failure) throws Throwable {
    Kit kit = kit(context);
    StringBuilder text = new StringBuilder("repeat with -Dringlet.seed=" + SEED);
    kit.faults().forEach(fault -> text.append(System.lineSeparator()).append("  fault made: ").append(fault));
    failure.addSuppressed(new Repeat(text.toString()));
    context.publishReportEntry("ringlet.seed", Long.toString(SEED));
    throw failure;
  }

  /** Carries the seed into the report of a failure, where every runner shows it. */
  private static final class Repeat extends Throwable {
    private static final long serialVersionUID = 1;

    Repeat(String text) {
      super(text, null, false, false);
    }

    @Override
    public String toString() {
      return getMessage();
    }
  }
}
