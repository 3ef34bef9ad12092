package io.ringlet;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Resolvers for common values. Each is commutative, associative and idempotent, so all readers
 * agree whatever the order in which they meet the siblings. Deleted siblings add nothing to a
 * union or a counter. One that cannot be decoded ends them with its {@link DecodeException}, which
 * names the key: a resolver of your own may look at {@link Sibling#error()} and decide.
 */
public final class Resolvers {
  private Resolvers() {}

  /**
   * The union of sets: nothing that was added is lost, and what was removed on one side only may
   * come back (the shopping cart of the paper, section 4.4).
   *
   * @param <E> the elements; their natural order is that of the result
   * @return a resolver for sets; the result is a new sorted set
   */
  public static <E extends Comparable<? super E>> ConflictResolver<Set<E>> union() {
    return siblings -> {
      Set<E> all = new TreeSet<>();
      for (Sibling<Set<E>> sibling : siblings) {
        if (!sibling.deleted()) {
          all.addAll(sibling.value());
        }
      }
      return all;
    };
  }

  /**
   * The version written last by its node's wall clock (paper, section 2.3: "last write wins"); the
   * dot decides between equal times. The other writes are lost. A delete may win: then the key is
   * deleted.
   *
   * @param <T> any values
   * @return a resolver
   */
  public static <T> ConflictResolver<T> lastWrite() {
    return new ConflictResolver<>() {
      @Override
      public T resolve(List<Sibling<T>> siblings) {
        return decide(siblings).value();
      }

      @Override
      public Change<T> decide(List<Sibling<T>> siblings) {
        Sibling<T> last = siblings.get(0);
        for (Sibling<T> sibling : siblings) {
          if (sibling.compareByTime(last) > 0) {
            last = sibling;
          }
        }
        return last.deleted() ? Change.delete() : Change.to(last.value());
      }
    };
  }

  /**
   * A counter that only grows: a map from each writer's name to that writer's own count, of which
   * the larger one is taken for each name. Each writer adds to its own entry only; the counter's
   * value is the sum of the map ({@link #sum}).
   *
   * @return a resolver for such maps; the result is a new sorted map
   */
  public static ConflictResolver<Map<String, Long>> counter() {
    return siblings -> {
      Map<String, Long> all = new TreeMap<>();
      for (Sibling<Map<String, Long>> sibling : siblings) {
        if (!sibling.deleted()) {
          sibling.value().forEach((writer, count) -> all.merge(writer, count, Math::max));
        }
      }
      return all;
    };
  }

  /**
   * Lists in which each element is once, sorted. The order in which they were added cannot survive a
   * merge.
   *
   * @param order of the result; elements that it holds equal and that are not (prices, say) are
   *     all kept, by what they print as
   * @param <E> the elements
   * @return a resolver for lists; the result is a new list
   */
  public static <E> ConflictResolver<List<E>> orderedSet(Comparator<? super E> order) {
    Objects.requireNonNull(order, "order");
    return siblings -> {
      Map<E, List<E>> all = new TreeMap<>(order);
      for (Sibling<List<E>> sibling : siblings) {
        if (!sibling.deleted()) {
          sibling.value().forEach(each -> addOnce(all.computeIfAbsent(each, e -> new ArrayList<>()),
              each));
        }
      }
      List<E> out = new ArrayList<>();
      for (List<E> alike : all.values()) {
        alike.sort(Comparator.comparing(String::valueOf));
        out.addAll(alike);
      }
      return out;
    };
  }

  private static <E> void addOnce(List<E> to, E element) {
    if (to.stream().noneMatch(each -> Objects.deepEquals(each, element))) {
      to.add(element);
    }
  }

  /**
   * Every different value, for a person to choose from later. A value of the bucket is a list of
   * candidates, nearly always of one.
   *
   * @param order of the result; values that it holds equal and that are not are all kept, by what
   *     they print as
   * @param <E> the candidates
   * @return a resolver for lists; the result is a new list
   */
  public static <E> ConflictResolver<List<E>> keepAll(Comparator<? super E> order) {
    return orderedSet(order);
  }

  /**
   * The value of a {@link #counter}.
   *
   * @param counts each writer's count
   * @return their sum
   * @throws ArithmeticException it does not fit a long
   */
  public static long sum(Map<String, Long> counts) {
    return List.copyOf(counts.values()).stream().mapToLong(Long::longValue).reduce(
        0, Math::addExact);
  }
}
