/**
 * Documents: values that merge themselves, for carts, sessions and preferences. A document is a map
 * of fields; a field is a map again, a set, a counter, a flag or a register. Concurrent edits are
 * merged by Ringlet: nothing that was added is lost, what was removed does not come back, and
 * counters are exact. Start at {@link io.ringlet.document.DocumentBucket#of}.
 */
package io.ringlet.document;
