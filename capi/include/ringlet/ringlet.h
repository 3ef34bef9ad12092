/* Ringlet in C: a replicated key-value store after Amazon's Dynamo, whose conflicts your own
 * function merges. This header is the whole surface; Python and Java are built on it.
 *
 * Conventions
 *
 * Handles    are opaque and counted. *_release gives one up and accepts NULL; the order of releases
 *            is free: a reply outlives its client, a client its options. Nothing is freed with free().
 * Threads    beside each handle's type:
 *              [A] any thread, at the same time
 *              [1] one thread at a time; a second one at the same time gets RINGLET_BUSY, or, where
 *                  a function has no status to give, no effect
 *              [I] immutable, any thread
 *            No thread of Ringlet ever runs your code: resolvers run on the thread that called in;
 *            results, merge questions and log records wait in queues until they are fetched.
 * Memory     Inputs are borrowed until the function returns; ringlet_submit copies them. Views that
 *            come out (ringlet_bytes, const char *) live as long as the handle they came from.
 *            A NULL handle given to an accessor gives its empty answer (0, NULL, no bytes).
 * Text       const char * in is UTF-8, ends with NUL and is checked. Bytes may be anything;
 *            with size 0, data may be NULL.
 * Errors     Functions return a status, RINGLET_OK or another, and set an error object when there is
 *            a place for it: every ringlet_error ** may be NULL; it is set on failure and to NULL on
 *            success, and so is every other out-parameter to NULL or 0 on failure. There is no
 *            "last error" of a thread. status / 100 is the category. Messages say what was wanted and
 *            what was got; keys are escaped and cut at 64 bytes, values never appear. A message is one
 *            line of UTF-8; control characters in what a node or a merge said are escaped.
 *            No C++ exception crosses this border.
 * Time       _ms and _us, monotonic, except written_ms. One deadline a call, retries and queueing
 *            included; at most one hour, there is no "for ever".
 * Structs    ringlet_call, ringlet_op and ringlet_event grow at their ends and carry or come with their
 *            size. No function reads beyond the size given; bytes that this library does not
 *            know must be zero, or the call is RINGLET_UNSUPPORTED.
 * Versions   *_open and *_start take RINGLET_ABI as you were compiled with: another major, or a minor
 *            above the library's, is RINGLET_ABI_MISMATCH. Within one major nothing here changes but by
 *            additions, and contexts that were stored are accepted for ever.
 * Fork       In the child of a fork() an inherited handle answers RINGLET_FORKED and may be released;
 *            new handles work. The parent notices nothing.
 * Exit       exit() with handles open and requests in flight ends at once.
 *
 * Not in this version; ringlet_has says 0: "check" and its sink, "metrics", "tls", "engine.wiredtiger" inside this library (nodes started here keep their data in memory).
 */
#ifndef RINGLET_RINGLET_H
#define RINGLET_RINGLET_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define RINGLET_API __attribute__((visibility("default")))
#else
#define RINGLET_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- version ---- */

#define RINGLET_ABI_MAJOR 1u /* soname libringlet.so.1 */
#define RINGLET_ABI_MINOR 4u /* up with every added symbol, field or code */
#define RINGLET_ABI ((RINGLET_ABI_MAJOR << 16) | RINGLET_ABI_MINOR)

RINGLET_API uint32_t ringlet_abi_version(void); /* the library's RINGLET_ABI */
RINGLET_API const char *ringlet_version(void);  /* "0.1.0", static */
/* 1 if this library can do it, else 0 (also for names nobody knows, and NULL): "client", "queue",
   "node", "cluster", "engine.memory", "coordination.client", "lab"; "debug.live_handles" answers with the
   number of handles not yet released, for leak tests. */
RINGLET_API int ringlet_has(const char *feature);

/* ---- plain data, frozen ---- */

typedef int32_t ringlet_status; /* never an enum type: a newer library may know more codes */
typedef struct {
  const void *data;
  size_t size;
} ringlet_bytes;
typedef struct {
  ringlet_bytes bucket, key; /* any bytes; the key must not be empty, the bucket may be */
} ringlet_key;

/* ---- handles ---- */

typedef struct ringlet_options ringlet_options; /* [1] */
typedef struct ringlet_client ringlet_client;   /* [A] */
typedef struct ringlet_node ringlet_node;       /* [A] */
typedef struct ringlet_cluster ringlet_cluster; /* [A] */
typedef struct ringlet_queue ringlet_queue;     /* [A] to submit, cancel and wake, [1] to drain */
typedef struct ringlet_reply ringlet_reply;     /* [I] */
typedef struct ringlet_error ringlet_error;     /* [I] */
typedef struct ringlet_text ringlet_text;       /* [I] */
typedef struct ringlet_merge ringlet_merge;     /* [1] answered once */
typedef struct ringlet_lab ringlet_lab;         /* [1] with all its clients and their queues */

/* ---- statuses ---- */

enum {
  RINGLET_OK = 0,
  /* 1xx the caller's mistake, nothing sent */
  RINGLET_INVALID_ARGUMENT = 101,
  RINGLET_INVALID_CONTEXT = 102, /* cut, altered, of another key or cluster; nothing was written */
  RINGLET_TOO_LARGE = 103,
  RINGLET_UNKNOWN_OPTION = 104,
  RINGLET_BUSY = 105,
  RINGLET_CLOSED = 106,
  RINGLET_FORKED = 107,
  RINGLET_ABI_MISMATCH = 108,
  RINGLET_UNSUPPORTED = 109,
  /* 2xx the cluster could not, now */
  RINGLET_TIMEOUT = 201,
  RINGLET_UNAVAILABLE = 202,
  RINGLET_QUORUM_NOT_MET = 203,
  RINGLET_OVERLOADED = 204,
  RINGLET_CANCELLED = 205,
  /* 3xx the data */
  RINGLET_TOO_MANY_SIBLINGS = 301,
  RINGLET_CORRUPT = 302,
  /* 4xx the user's function */
  RINGLET_MERGE_FAILED = 401,
  RINGLET_UPDATE_EXHAUSTED = 402, /* every attempt of an update met new siblings */
  /* 5xx ours */
  RINGLET_INTERNAL = 501,
  RINGLET_NO_MEMORY = 502,
  RINGLET_IO = 503
};

RINGLET_API const char *ringlet_status_name(
    ringlet_status); /* "QUORUM_NOT_MET"; "UNKNOWN"; static */

/* ---- errors and text ---- */

RINGLET_API ringlet_status ringlet_error_status(const ringlet_error *); /* NULL: RINGLET_OK */
RINGLET_API const char *ringlet_error_message(const ringlet_error *); /* one sentence, never NULL */
RINGLET_API int ringlet_error_retryable(
    const ringlet_error *); /* the same call may succeed later */
/* This write may exist all the same. Repeat it with the same write id (ringlet_call), the same value and
   the same context: it is then one write, however often it is executed, and one that was replaced or
   deleted meanwhile stays so. That holds for an hour after it was first sent. Later, or when a key was
   replaced so often since that its replicas remember the write no more (some 64 times at least), the
   library cannot tell: where the id is one that the library made it refuses with INVALID_ARGUMENT and
   says so; an id of your own making has no age, and the write is taken for a new one. */
RINGLET_API int ringlet_error_maybe_applied(const ringlet_error *);
/* A JSON object; of a request: status, wanted, got, asked, node, attempts, write_id, answered, silent,
   refused (node ids). Yours to release. */
RINGLET_API ringlet_text *ringlet_error_details(const ringlet_error *);
RINGLET_API void ringlet_error_release(ringlet_error *);

RINGLET_API ringlet_bytes ringlet_text_bytes(const ringlet_text *); /* UTF-8; a NUL follows */
RINGLET_API void ringlet_text_release(ringlet_text *);

/* ---- options: rare settings, as text ---- */

/* Names, values, bounds and defaults are those of the configuration file (docs/configuration.md), for
   nodes and clusters inside a program, and these of a client:
     client.seeds         "host:port,host:port", where to find the cluster; needed by a client
     client.cluster       the name of the cluster, where it is not cluster.name
     client.coordination  server | client: what runs the quorum, a node or this process
     client.timeout_ms    client.refresh_ms    client.max_in_flight    client.update_attempts
     client.name_servers  "address:port,..."; empty: the system's
   Of the file, node.data_dir, node.engine, node.cache_mb, node.memory_mb, node.pid_file, node.port_file,
   cluster.seeds and log.file are ringletd's: a node inside a program keeps its data in memory. Its
   node.members are "a=host:port,b=host:port". Durations are in the unit that ends the name.
   ringlet_options_describe has all with types, bounds, defaults and the handles that take them.

   An option that is set and that a handle has no use for is an error when the handle is made
   (INVALID_ARGUMENT): cluster.n, say, for a client. With options.shared = "true" one set of options may
   serve a cluster, nodes and clients; each handle takes what is its. (Since ABI 1.2; before, such options
   were ignored in silence.) */
RINGLET_API ringlet_options *ringlet_options_new(void); /* NULL: no memory */
/* Checks name (UNKNOWN_OPTION, with the nearest one) and value (INVALID_ARGUMENT) at once. */
RINGLET_API ringlet_status ringlet_options_set(ringlet_options *, const char *name,
                                               const char *value, ringlet_error **);
RINGLET_API ringlet_text *ringlet_options_describe(void); /* JSON: [{name, type, default,
   doc, handles: ["client", "node", "cluster"]; of integers min, max; of choices choices}] */
RINGLET_API void ringlet_options_release(ringlet_options *);

/* ---- client ---- */

/* Copies the options. Does not wait for a connection: an unreachable cluster shows in the first call.
   abi: RINGLET_ABI. */
RINGLET_API ringlet_status ringlet_client_open(const ringlet_options *, uint32_t abi,
                                               ringlet_client **, ringlet_error **);
RINGLET_API void ringlet_client_retain(ringlet_client *);
/* Refuses new calls (CLOSED), waits up to drain_ms for those under way, fails the rest, joins its
   thread. Again: OK. From inside a resolver of its own: BUSY. */
RINGLET_API ringlet_status ringlet_client_close(ringlet_client *, uint32_t drain_ms);
RINGLET_API void ringlet_client_release(ringlet_client *); /* the last one closes, drain_ms 0 */
/* What this client's calls came to, as JSON: "gets", "puts" (deletes included) and "failed" that ended,
 * "versions_per_get" [0, 1, 2, 3, 4 and more], "asked_early" (messages to a second node while the first was
 * waited for), "asked_a_node" (calls of client coordination that a node coordinated, because too few members
 * were within reach). NULL when there is no memory; of a closed client: what it came to. Since ABI 1.2. */
RINGLET_API ringlet_text *ringlet_client_counters(const ringlet_client *);

/* What one call wants; 0 = the client's default, then the cluster's. Grows at its end. */
typedef struct {
  uint32_t struct_size; /* RINGLET_CALL_INIT sets it */
  uint32_t timeout_ms;  /* the whole call, retries included; at most 3600000 */
  uint8_t r, w;
  uint8_t strict;     /* 1: only owners of the key count, no substitutes */
  uint8_t durability; /* 1 buffer, 2 log, 3 disk */
  uint32_t flags;     /* RINGLET_RETURN_SIBLINGS, RINGLET_DELETES_… */
  /* 0: the library's own; set it to repeat a write, also after a crash (see
     ringlet_error_maybe_applied). One id names one write: INVALID_ARGUMENT where another value is stored
     under it. An id of your own: a UUID of version 4 or 7, high half first, or 128 random bits; of those one in
     seven million looks like a UUID of version 7 of the last 30 days and is refused as too old to repeat. A UUID of
     version 7 tells when it was made: where a key is written so often that it is not known any more whether the
     write was done and replaced, its repetition is refused, and not shown as a new write. */
  uint64_t write_id[2];
  ringlet_bytes content_type, traceparent; /* traceparent is accepted and not used yet */
} ringlet_call;
/* A put or delete also brings the versions that the w replicas hold after it; without this flag its reply has only
   the context and count 0. An update always brings them. */
#define RINGLET_RETURN_SIBLINGS 1u
/* What a delete beside a write of the same time means to this reader (at most one of the two):
   neither  the write survives; the delete is not shown
   WIN      the key reads as missing
   ASK      the delete is shown beside the write, flagged; an update's resolver decides
   Alone, a delete is a missing key for all three. */
#define RINGLET_DELETES_WIN 2u
#define RINGLET_DELETES_ASK 4u
#define RINGLET_CALL_INIT \
  {(uint32_t)sizeof(ringlet_call), 0, 0, 0, 0, 0, 0, {0, 0}, {NULL, 0}, {NULL, 0}}

/* Blocking. call may be NULL. A missing key is OK with count 0. */
RINGLET_API ringlet_status ringlet_get(ringlet_client *, ringlet_key, const ringlet_call *,
                                       ringlet_reply **, ringlet_error **);
/* context: of the reply that this write follows, and replaces; empty: a blind write, beside whatever
   is there (with last-write-wins: in place of it, if the clocks say so). reply may be NULL. */
RINGLET_API ringlet_status ringlet_put(ringlet_client *, ringlet_key, ringlet_bytes context,
                                       ringlet_bytes value, const ringlet_call *, ringlet_reply **,
                                       ringlet_error **);
RINGLET_API ringlet_status ringlet_delete(ringlet_client *, ringlet_key, ringlet_bytes context,
                                          const ringlet_call *, ringlet_reply **, ringlet_error **);
/* count independent gets at once. replies[i] or errors[i] is set for each i; the status is OK, or that of
   the first failed one. errors may be NULL. */
RINGLET_API ringlet_status ringlet_multi_get(ringlet_client *, const ringlet_key *, size_t count,
                                             const ringlet_call *, ringlet_reply **replies,
                                             ringlet_error **errors);

/* ---- replies ---- */

/* 0 missing, 1 a value, 2.. a conflict: versions written at the same time that differ in value or content
   type. Versions that are equal in both count once, under the newest one's dot and time. */
RINGLET_API size_t ringlet_reply_count(const ringlet_reply *);
/* The siblings, in one order on every node. An index out of range: the empty answer. */
RINGLET_API ringlet_bytes ringlet_reply_value(const ringlet_reply *, size_t);
RINGLET_API ringlet_bytes ringlet_reply_content_type(const ringlet_reply *, size_t);
/* The version's identity: 24 bytes, big-endian: node, epoch, counter. */
RINGLET_API ringlet_bytes ringlet_reply_dot(const ringlet_reply *, size_t);
RINGLET_API uint64_t ringlet_reply_written_ms(const ringlet_reply *,
                                              size_t); /* minter's wall clock */
/* 1: a delete that happened at the same time as the other siblings; only with RINGLET_DELETES_ASK. */
RINGLET_API int ringlet_reply_is_tombstone(const ringlet_reply *, size_t);
/* 0: an update whose edit is in the store but which ended before one version was left: its
   deadline, a cancel, a failure or a resolver came between (explain's "why"). The next reader finds
   count siblings, the edit among them. 1: every other reply; of an update: one version was left of what
   the w replicas that took its last write (or the r that were read after it) held when they answered. A
   write of the same time that reached none of them is met by its own writer, where w + w > n. */
RINGLET_API int ringlet_reply_merged(const ringlet_reply *);
/* Versions that are there and too large to be sent together with those shown; 0 nearly always. This reply's
   context covers what is shown and no more: write with it, then read again, and the rest comes. Since ABI 1.2. */
RINGLET_API size_t ringlet_reply_left_out(const ringlet_reply *);
/* Opaque, at most 4 KiB, checksummed, of this key only. May be stored and used later, anywhere. */
RINGLET_API ringlet_bytes ringlet_reply_context(const ringlet_reply *);
/* JSON: operation, node, attempts, write_id, wanted, got, asked, not_found, answered, silent, refused,
   substitutes, left_out, and for each version dot, written_us, tombstone, bytes. left_out: versions that are
   there and too large to be sent with those shown, 0 nearly always; write with this reply's context, which
   covers only what is shown, and read again. Of a write, got may be less than
   there are in answered: an owner and its substitute are one copy. Yours to release. */
RINGLET_API ringlet_text *ringlet_reply_explain(const ringlet_reply *);
RINGLET_API void ringlet_reply_retain(ringlet_reply *);
RINGLET_API void ringlet_reply_release(ringlet_reply *);

/* Of two contexts of one key: -1 the first has seen less; 0 the same; 1 more; 2 concurrent. Empty bytes
   have seen nothing. INVALID_CONTEXT: no context by its form. The checksum is bound to the key, which
   is not given here: what was altered and still has the form, or is of another key, is compared as
   it reads. ringlet_context_describe with the key tells, and every put and delete does. */
RINGLET_API ringlet_status ringlet_context_compare(ringlet_bytes, ringlet_bytes, int *order);
/* What a context covers, as JSON for people and tests: {"checked", "seen": [{"node", "epoch",
   "counter"}]}, by node: all versions of that node and epoch up to counter. Programs hand contexts on
   and need nothing of this; fields may be added. With the key, a context that was cut, altered or is
   of another key is INVALID_CONTEXT; key may be NULL, then "checked" is false. */
RINGLET_API ringlet_status ringlet_context_describe(const ringlet_key *key, ringlet_bytes context,
                                                    ringlet_text **, ringlet_error **);

/* ---- merging ---- */

/* An update reads, asks for the new value, writes it with the context read; when that write met siblings
   it asks what they become, as often as needed. ringlet_merge_written tells the two questions apart:

     0  the edit: the new value of the key, from count siblings: 0 it is missing, 1 its value, 2.. a
        conflict to be merged first. Asked at most once in an update, and exactly once when it
        succeeds, so the edit may do what must not be done twice (count, append, send). Not asked where
        the write that ringlet_call.write_id names is stored already: the edit is done.
     1  a merge: what the siblings become. The edit is acknowledged and contained in them; editing again
        would count it twice. The answer must be a function of the siblings alone.

   Called on the thread that called Ringlet. Ends the merge with exactly one of answer, erase, keep, fail,
   and returns 0; another number is a failure. May use any handle. Must not longjmp. */
typedef int (*ringlet_resolve_fn)(void *user_data, ringlet_merge *);
typedef struct {
  ringlet_resolve_fn resolve;
  void (*destroy)(
      void *user_data); /* may be NULL; once, before ringlet_update returns, also when it fails */
  void *user_data;
} ringlet_resolver;

RINGLET_API const ringlet_reply *ringlet_merge_siblings(
    const ringlet_merge *);                                        /* borrowed; count 0.. */
RINGLET_API uint32_t ringlet_merge_attempt(const ringlet_merge *); /* from 1: the edit */
RINGLET_API int ringlet_merge_written(const ringlet_merge *);      /* 0 the edit, 1 a merge */
/* One of these ends the merge. A second one is BUSY and changes nothing; one after the request has
   ended (deadline, cancel, close) is CLOSED and harmless. */
RINGLET_API ringlet_status ringlet_merge_answer(ringlet_merge *, ringlet_bytes value); /* copied */
RINGLET_API ringlet_status ringlet_merge_erase(ringlet_merge *);
/* Writes nothing. The edit: the update is over, OK, and nothing changed. A merge: the siblings stay. */
RINGLET_API ringlet_status ringlet_merge_keep(ringlet_merge *);
RINGLET_API ringlet_status ringlet_merge_fail(ringlet_merge *, const char *message);
/* Of a merge from an event. Released without an answer it fails: the edit with MERGE_FAILED; a merge
   leaves the siblings. Inside a resolver the
   merge is borrowed and this has no effect. */
RINGLET_API void ringlet_merge_release(ringlet_merge *);

/* Once the edit is acknowledged the update is OK, whatever comes after: a deadline, a cancel, a close, a
   failing resolver or client.update_attempts questions end the merging, and ringlet_reply_merged is 0.
   Before that an error says maybe_applied truthfully, and its details name the write_id.
   Between two merges it pauses, at random and longer with each, so that many writers of one key come to
   an end; the pauses count against the deadline. */
RINGLET_API ringlet_status ringlet_update(ringlet_client *, ringlet_key, const ringlet_resolver *,
                                          const ringlet_call *, ringlet_reply **, ringlet_error **);

/* ---- documents: values that merge themselves; since ABI 1.3 ---- */

/* A document is a map of fields: maps, sets, counters, flags and registers. Concurrent versions are merged by
   Ringlet, wherever they meet: no resolver is asked, nothing that was added is lost, what was removed does
   not come back, and counters are exact (docs/documents.md). The cluster's reconcile must be siblings. */

enum {
  RINGLET_TEXT = 0, /* UTF-8 */
  RINGLET_BYTES = 1,
  RINGLET_INTEGER = 2,
  RINGLET_BOOLEAN = 3, /* integer 0 or 1 */
  RINGLET_NOTHING = 4, /* of a register only, as REAL is */
  RINGLET_REAL = 5
};
typedef struct {           /* the name of a field, an element, a value */
  uint32_t kind, reserved; /* reserved: 0 */
  int64_t integer;
  double real;
  ringlet_bytes text; /* TEXT, BYTES */
} ringlet_scalar;

enum {
  RINGLET_EDIT_ADD = 1,       /* value to the set at path */
  RINGLET_EDIT_REMOVE = 2,    /* value from the set; it need not be there */
  RINGLET_EDIT_INCREMENT = 3, /* the counter, by amount; refused if it would leave 64 bits */
  RINGLET_EDIT_SET = 4,       /* the register to value: of concurrent ones the latest is shown */
  RINGLET_EDIT_SET_ALL = 5,   /* the register to value: all concurrent ones are shown */
  RINGLET_EDIT_ENABLE = 6,    /* the flag */
  RINGLET_EDIT_DISABLE = 7,
  RINGLET_EDIT_ERASE = 8,   /* the field with all in it, as far as it was seen; it must be there */
  RINGLET_EDIT_DISCARD = 9, /* the same; it need not be there */
  RINGLET_EDIT_CLEAR = 10   /* what the field holds; with no names the whole document */
};
typedef struct ringlet_edits ringlet_edits;       /* of one thread at a time */
typedef struct ringlet_document ringlet_document; /* immutable */

/* A list of edits is data: its bytes may be kept, and sent again under the same write id. At most 4096. */
RINGLET_API ringlet_status ringlet_edits_new(ringlet_edits **, ringlet_error **);
/* path: the names of fields from the document's root to the one edited; names: 1 to 32 of them, text or bytes of
   1 to 1024 bytes, integers, booleans. Fields on the way are made where there are none. value: of ADD, REMOVE,
   SET, SET_ALL, otherwise ignored; an element has at most 65535 bytes. All is copied. On failure nothing
   is appended. */
RINGLET_API ringlet_status ringlet_edits_append(ringlet_edits *, uint32_t edit,
                                                const ringlet_scalar *path, size_t names,
                                                const ringlet_scalar *value, int64_t amount,
                                                ringlet_error **);
RINGLET_API size_t ringlet_edits_count(const ringlet_edits *);
RINGLET_API ringlet_bytes ringlet_edits_bytes(ringlet_edits *); /* until the next append */
RINGLET_API void ringlet_edits_release(ringlet_edits *);

/* Reads the document, applies the edits to it, writes it, and merges what the write met. OK once the edit
   is acknowledged, as ringlet_update; the edit counts once. INVALID_ARGUMENT where an edit does not fit
   what is stored, or a value that is no document is there: then nothing was written. */
RINGLET_API ringlet_status ringlet_edit(ringlet_client *, ringlet_key, ringlet_bytes edits,
                                        const ringlet_call *, ringlet_reply **, ringlet_error **);

/* What a reply shows, merged; missing: the empty document. A reply of a get, edit, update, or of a put
   with RINGLET_RETURN_SIBLINGS. INVALID_ARGUMENT: something there is no document; CORRUPT, UNSUPPORTED: damaged,
   or of a later release; CORRUPT too where a counter's sum has left 64 bits. */
RINGLET_API ringlet_status ringlet_document_read(const ringlet_reply *, ringlet_document **,
                                                 ringlet_error **);
enum {
  RINGLET_MAP = 1,          /* its fields follow, one deeper */
  RINGLET_SET = 2,          /* its elements follow, one deeper */
  RINGLET_COUNTER = 3,      /* value: an integer */
  RINGLET_FLAG = 4,         /* enabled; a field that is not there is not */
  RINGLET_REGISTER = 5,     /* value */
  RINGLET_REGISTER_ALL = 6, /* its values follow, one deeper */
  RINGLET_ELEMENT = 7       /* of the set or register before: value; no name */
};
typedef struct {        /* grows at its end; item_size is an argument. text lives as the document */
  uint32_t depth, type; /* depth from 0 */
  ringlet_scalar name, value;
} ringlet_item;
/* Fields in the order of their names, each before what it holds. One name may come twice, with two types, when
   both were made concurrently. */
/* The same of the bytes of one version, as ringlet_document_write makes them. */
RINGLET_API ringlet_status ringlet_document_parse(ringlet_bytes, ringlet_document **,
                                                  ringlet_error **);
RINGLET_API size_t ringlet_document_count(const ringlet_document *);
RINGLET_API ringlet_status ringlet_document_item(const ringlet_document *, size_t, ringlet_item *,
                                                 size_t item_size);
RINGLET_API void ringlet_document_release(ringlet_document *);

/* The bytes of what these siblings become by the edits (empty: by merging), for the answer of an update of your
   own, whose content_type is application/vnd.ringlet.document; nothing is sent. TAKES_OVER: values that are
   no documents are left out. To keep what they hold use ringlet_document_take_over: brought by edits of your
   own it would count once for each writer that brings it at the same time. */
#define RINGLET_TAKES_OVER 1u
RINGLET_API ringlet_status ringlet_document_write(const ringlet_reply *siblings,
                                                  ringlet_bytes edits, uint32_t flags,
                                                  ringlet_text **value, ringlet_error **);
typedef struct {
  size_t sibling;      /* of the reply, by its number: a value that is no document */
  ringlet_bytes edits; /* what it holds, said as edits of the empty document */
} ringlet_taken;
/* The same, and values that are no documents are taken over: what a program of before wrote becomes part of
   the document. It counts once, also when several writers take it over at the same time, and is removed when
   one of them removes it. `taken` says what such values hold, in as many lists for one value as it takes; a
   value that it does not name is left out. A program of before that goes on writing meanwhile
   writes whole values, each of which is taken over as one more. */
RINGLET_API ringlet_status ringlet_document_take_over(const ringlet_reply *siblings,
                                                      const ringlet_taken *taken, size_t count,
                                                      ringlet_bytes edits, ringlet_text **value,
                                                      ringlet_error **);

/* ---- requests in the background ---- */

/* EDIT: since ABI 1.3. It asks for no merge: it has its DONE and nothing before. */
enum { RINGLET_GET = 1, RINGLET_PUT = 2, RINGLET_DELETE = 3, RINGLET_UPDATE = 4, RINGLET_EDIT = 5 };
typedef struct {           /* grows at its end; op_size is an argument */
  uint32_t kind, reserved; /* reserved: 0 */
  uint64_t tag;            /* yours; comes back in every event of the request */
  ringlet_key key;
  /* PUT, DELETE: context. PUT: value. EDIT: value, the bytes of the edits. Otherwise ignored */
  ringlet_bytes context, value;
  const ringlet_call *call; /* may be NULL */
} ringlet_op;

enum { RINGLET_DONE = 1, RINGLET_MERGE = 2 };
typedef struct { /* grows at its end; event_size is an argument */
  /* DONE: the request's last event; each request has exactly one. MERGE (of UPDATE): answer me, on any
     thread, now or later; left unanswered, the update ends at its deadline. */
  uint32_t kind;
  ringlet_status status;
  uint64_t tag, request;
  ringlet_reply *reply; /* these three are yours: ringlet_event_clear, or take them and set NULL */
  ringlet_error *error;
  ringlet_merge *merge;
} ringlet_event;

RINGLET_API ringlet_status ringlet_queue_new(ringlet_queue **, ringlet_error **);
/* Readable while the queue is not empty or was woken; for poll(). Ringlet's to close. -1: none. */
RINGLET_API int ringlet_queue_fd(ringlet_queue *);
RINGLET_API void ringlet_queue_wake(
    ringlet_queue *); /* a drain that waits, or the next, returns at once */
RINGLET_API void ringlet_queue_release(ringlet_queue *); /* cancels what is in flight */
/* All or none; inputs are copied. requests may be NULL, else it gets count numbers, unique in the
   queue. */
RINGLET_API ringlet_status ringlet_submit(ringlet_client *, ringlet_queue *, const ringlet_op *,
                                          size_t op_size, size_t count, uint64_t *requests,
                                          ringlet_error **);
/* Waits for at least one event: timeout_ms -1 for ever, 0 not at all. OK with *count 0: none in
   time, or woken. */
RINGLET_API ringlet_status ringlet_drain(ringlet_queue *, ringlet_event *, size_t event_size,
                                         size_t room, int32_t timeout_ms, size_t *count);
/* Stops waiting, not the replicas: its DONE says CANCELLED. Any time; too late is no error. */
RINGLET_API void ringlet_cancel(ringlet_queue *, uint64_t request);
RINGLET_API void ringlet_event_clear(ringlet_event *); /* releases what it holds and zeroes it */

/* ---- a node in this process ---- */

/* node.name and node.members say who it is among whom; without members it is a cluster of one. Its
   data are in memory and end with it. */
RINGLET_API ringlet_status ringlet_node_start(const ringlet_options *, uint32_t abi,
                                              ringlet_node **, ringlet_error **);
RINGLET_API const char *ringlet_node_address(
    const ringlet_node *); /* "127.0.0.1:41873", lives as the node */
RINGLET_API ringlet_status ringlet_node_stop(ringlet_node *, uint32_t drain_ms, ringlet_error **);
RINGLET_API void ringlet_node_release(ringlet_node *); /* running: stops without draining */

/* ---- a whole cluster in this process, for development and tests ---- */

/* Nodes n1, n2, … on 127.0.0.1, any free ports, memory engine. options may be NULL: N 3 (or nodes, if
   fewer), R 2, W 2. nodes: 1 to 64. */
RINGLET_API ringlet_status ringlet_cluster_start(const ringlet_options *, uint32_t nodes,
                                                 uint32_t abi, ringlet_cluster **,
                                                 ringlet_error **);
RINGLET_API const char *ringlet_cluster_seeds(
    const ringlet_cluster *); /* for client.seeds; lives as it */
RINGLET_API uint32_t ringlet_cluster_size(const ringlet_cluster *);
/* The node is gone at once, its requests unanswered; its data are kept. Of one that is down: OK. */
RINGLET_API ringlet_status ringlet_cluster_kill(ringlet_cluster *, uint32_t index,
                                                ringlet_error **);
/* On the same address, with its data. Of one that is running: OK. */
RINGLET_API ringlet_status ringlet_cluster_restart(ringlet_cluster *, uint32_t index,
                                                   ringlet_error **);
/* Faults, for tests of what is built on a cluster; stop ends them first where it is to drain. A node that is paused stands still as after SIGSTOP: its
   sockets stay open, what is sent to it waits in them and is worked off after resume, where it is not too
   old by then. Paused already: OK; down: INVALID_ARGUMENT. Resume of one that is not paused: OK.
   All since ABI 1.4. */
RINGLET_API ringlet_status ringlet_cluster_pause(ringlet_cluster *, uint32_t index,
                                                 ringlet_error **);
RINGLET_API ringlet_status ringlet_cluster_resume(ringlet_cluster *, uint32_t index,
                                                  ringlet_error **);
/* Cuts the line in one direction: nothing that `from` sends reaches `to`. It waits, as over a network that
   loses every packet, and goes on after mend or heal unless the connection was given up by then. RINGLET_CLIENTS as
   one end: all clients, of this process and others. A cut outlasts kill and restart of its ends. */
#define RINGLET_CLIENTS 0xffffffffu
RINGLET_API ringlet_status ringlet_cluster_cut(ringlet_cluster *, uint32_t from, uint32_t to,
                                               ringlet_error **);
RINGLET_API ringlet_status ringlet_cluster_mend(ringlet_cluster *, uint32_t from, uint32_t to,
                                                ringlet_error **); /* not cut: OK */
RINGLET_API ringlet_status ringlet_cluster_heal(ringlet_cluster *,
                                                ringlet_error **); /* all lines */
/* The node's wall clock is from now on ahead_ms milliseconds ahead of the machine's (negative: behind; at
   most 366 days; 0: as the machine's), also after a restart. Deadlines do not depend on it. */
RINGLET_API ringlet_status ringlet_cluster_skew(ringlet_cluster *, uint32_t index, int64_t ahead_ms,
                                                ringlet_error **);
RINGLET_API ringlet_status ringlet_cluster_stop(ringlet_cluster *, uint32_t drain_ms,
                                                ringlet_error **);
RINGLET_API void ringlet_cluster_release(ringlet_cluster *); /* running: stops without draining */

/* ---- the laboratory: a cluster in virtual time; since ABI 1.4 ---- */

/* The production nodes and clients, in one thread, over a simulated network, simulated disks and clocks: no
   socket, no thread, no file. The same settings, seed and calls come to the same end on every machine, which
   ringlet_lab_hash tells. docs/lab.md has all names.
   Time       stands still but inside a call: one that waits for an answer lets it pass until the answer comes,
              and so do step, run and settle. Times are microseconds since the laboratory began.
   Threads    one at a time uses a laboratory and what belongs to it (its clients, queues with their requests);
              a second one at the same time gets BUSY. Resolvers may call the laboratory.
   Clients    are ordinary: every call of this header works. A deadline is of virtual time. A drain of a queue
              with nothing in flight returns at once. A queue has requests of one laboratory at a time.
   Release    ends what is under way with CLOSED. Clients and queues may outlive it, and their calls are CLOSED. */

/* settings: a JSON object, NULL: {}. nodes (1 to 256; 5), spares (not members yet; 3), n, r, w, seed (7), partitions,
   reconcile, durability, coordination, loss, duplicate, slow (chances, 0 to 1), latency_us (mean beyond
   min_latency_us), between_zones_us, fsync_us, zones, weights (lists by node), trace (records kept), options
   (others of ringlet_options, by their names). Unknown ones are UNKNOWN_OPTION. Nodes are n1, n2, ... */
RINGLET_API ringlet_status ringlet_lab_new(const char *settings, uint32_t abi, ringlet_lab **,
                                           ringlet_error **);
/* The client of this name, made where there is none; then options (NULL: the laboratory's) are its own. */
RINGLET_API ringlet_status ringlet_lab_client(ringlet_lab *, const char *name,
                                              const ringlet_options *, ringlet_client **,
                                              ringlet_error **);
/* What happens to hosts and the network, a JSON object {"act": name, ...}:
     partition groups [[names], ...], mend (true: the other way)   heal   cut, mend from, to (one way)   loss chance, duplicate
     latency mean_us, min_us; or host, more_us   kill host, machine   restart, pause, resume, wipe, backup,
     restore host   skew host, ms   slow_disk host, fsync_us   full_disk host, full
     join host   leave host   replace host, by
   INVALID_ARGUMENT names what was wanted: a host that is not there, a node that is down already. */
RINGLET_API ringlet_status ringlet_lab_act(ringlet_lab *, const char *act, ringlet_error **);
/* Up to count events. done (may be NULL): how many there were. */
RINGLET_API ringlet_status ringlet_lab_step(ringlet_lab *, uint64_t count, uint64_t *done,
                                            ringlet_error **);
RINGLET_API ringlet_status ringlet_lab_run(ringlet_lab *, uint64_t us, ringlet_error **);
/* Heals all, starts what is down, and runs until hints, transfers and replicas are at rest. said (may be NULL), JSON:
   {"quiet": bool, "waited_us": n, "not": [sentences: what is not at rest after patience_us]}. */
RINGLET_API ringlet_status ringlet_lab_settle(ringlet_lab *, uint64_t patience_us,
                                              ringlet_text **said, ringlet_error **);
/* Back to when so many events were over, by running again. What was done at that moment or later is undone; clients
   that were there stay usable, calls under way end with CANCELLED. */
RINGLET_API ringlet_status ringlet_lab_rewind(ringlet_lab *, uint64_t event, ringlet_error **);
/* Another laboratory in which the same was done at the same times, under settings of which these (JSON) differ. A
   write follows what its read brought there; merges are answered as they were here. */
RINGLET_API ringlet_status ringlet_lab_fork(ringlet_lab *, const char *changed, ringlet_lab **,
                                            ringlet_error **);
/* "history", "inspect", "timeline", "ring", "trees", "trace", "calls", "keys", "status", "settings": JSON in (NULL: {})
   and out, as docs/lab.md and docs/pictures.md say. */
RINGLET_API ringlet_status ringlet_lab_ask(ringlet_lab *, const char *what, const char *arguments,
                                           ringlet_text **, ringlet_error **);
RINGLET_API uint64_t ringlet_lab_now_us(ringlet_lab *);
RINGLET_API uint64_t ringlet_lab_events(ringlet_lab *); /* that are over */
RINGLET_API uint64_t ringlet_lab_hash(ringlet_lab *);   /* of all that has happened */
RINGLET_API void ringlet_lab_release(ringlet_lab *);

/* ---- for operators ---- */

/* "status" {"node": name or address, may be left out}: what the node says of itself
   "ring" {}: members, partitions, owners as this client knows them; of at most 4,096 partitions the owners of
   each, "preference_lists", and those after a change under way, "moves"
   "key.inspect" {"key": text, "bucket": text; or "key_hex", "bucket_hex"}: the key's owners and what each holds
   JSON in (NULL: {}) and out. Unknown commands and fields are INVALID_ARGUMENT. */
RINGLET_API ringlet_status ringlet_admin(ringlet_client *, const char *command, const char *json,
                                         const ringlet_call *, ringlet_text **, ringlet_error **);

/* Log records wait, at most 1000 of them, until they are fetched; what does not fit is counted, and the
   count is a record of its own. A record as JSON: {"level", "part", "text"}; NULL: none now. */
RINGLET_API ringlet_text *ringlet_client_log_next(ringlet_client *);
RINGLET_API ringlet_text *ringlet_node_log_next(ringlet_node *);
/* Calls fn, on this thread, for each record waiting. Levels: 0 trace, 1 debug, 2 info, 3 warn, 4 error.
   Returns how many. */
typedef void (*ringlet_log_fn)(void *user_data, int level, const char *part, const char *text);
RINGLET_API size_t ringlet_client_log_drain(ringlet_client *, ringlet_log_fn, void *user_data);
RINGLET_API size_t ringlet_cluster_log_drain(ringlet_cluster *, ringlet_log_fn, void *user_data);

#ifdef __cplusplus
}
#endif

#endif /* RINGLET_RINGLET_H */
