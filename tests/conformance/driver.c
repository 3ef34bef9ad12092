/* The conformance driver in C: it uses the public header and nothing else of Ringlet.
 *
 * It reads one request a line and answers it with one line. A line is NAME=BYTES fields between spaces, where
 * every byte but letters, digits, '.', '_' and '-' is %XX; the first field is "do". README.md of this folder
 * lists the fields. With async=1 a call goes through ringlet_submit and ringlet_drain. */
#define _POSIX_C_SOURCE 200809L
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ringlet/ringlet.h"

static int use_queue = 0;

static void die(const char *what) {
  fprintf(stderr, "driver_c: %s\n", what);
  exit(2);
}

/* ---- bytes that grow ---- */

typedef struct {
  char *data;
  size_t size, room;
} buffer;

static void add_bytes(buffer *to, const void *data, size_t size) {
  if (to->size + size + 1 > to->room) {
    to->room = 2 * (to->size + size) + 64;
    to->data = realloc(to->data, to->room);
    if (to->data == NULL) die("no memory");
  }
  if (size != 0) memcpy(to->data + to->size, data, size);
  to->size += size;
  to->data[to->size] = 0;
}
static void add_text(buffer *to, const char *text) {
  add_bytes(to, text, strlen(text));
}
static ringlet_bytes view(const buffer *of) {
  ringlet_bytes out;
  out.data = of->data;
  out.size = of->size;
  return out;
}
static ringlet_bytes text_view(const char *text) {
  ringlet_bytes out;
  out.data = text;
  out.size = strlen(text);
  return out;
}

/* ---- the line protocol ---- */

static void escape(buffer *to, const void *data, size_t size) {
  static const char hex[] = "0123456789ABCDEF";
  const unsigned char *at = data;
  for (size_t i = 0; i < size; ++i) {
    unsigned char c = at[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
        c == '_' || c == '-') {
      add_bytes(to, &at[i], 1);
    } else {
      char coded[3];
      coded[0] = '%';
      coded[1] = hex[c >> 4];
      coded[2] = hex[c & 15];
      add_bytes(to, coded, 3);
    }
  }
}
static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  die("a request has a bad escape");
  return 0;
}
static void unescape(buffer *to, const char *from, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    char c = from[i];
    if (c == '%') {
      if (i + 2 >= size) die("a request has a cut escape");
      c = (char)(digit(from[i + 1]) * 16 + digit(from[i + 2]));
      i += 2;
    }
    add_bytes(to, &c, 1);
  }
}

typedef struct {
  char name[24];
  buffer value;
} field;
#define MOST_FIELDS 5000
typedef struct {
  field fields[MOST_FIELDS];
  size_t count;
} request;

static void parse(request *into, char *line) {
  into->count = 0;
  for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
    char *equals = strchr(word, '=');
    if (equals == NULL || into->count == MOST_FIELDS ||
        (size_t)(equals - word) >= sizeof into->fields[0].name)
      die("a request has a bad field");
    field *next = &into->fields[into->count++];
    memset(next, 0, sizeof *next);
    memcpy(next->name, word, (size_t)(equals - word));
    add_bytes(&next->value, "", 0);
    unescape(&next->value, equals + 1, strlen(equals + 1));
  }
}
static void forget(request *of) {
  for (size_t i = 0; i < of->count; ++i) free(of->fields[i].value.data);
  of->count = 0;
}
static const field *find(const request *in, const char *name) {
  for (size_t i = 0; i < in->count; ++i)
    if (strcmp(in->fields[i].name, name) == 0) return &in->fields[i];
  return NULL;
}
static ringlet_bytes bytes_of(const request *in, const char *name) {
  const field *found = find(in, name);
  if (found != NULL) return view(&found->value);
  return text_view("");
}
static const char *word_of(const request *in, const char *name) {
  const field *found = find(in, name);
  return found == NULL ? "" : found->value.data;
}
static unsigned long number_of(const request *in, const char *name) {
  return strtoul(word_of(in, name), NULL, 10);
}

static void put_field(buffer *to, const char *name, const void *data, size_t size) {
  if (to->size != 0) add_text(to, " ");
  add_text(to, name);
  add_text(to, "=");
  escape(to, data, size);
}
static void put_word(buffer *to, const char *name, const char *word) {
  put_field(to, name, word, strlen(word));
}
static void put_number(buffer *to, const char *name, unsigned long number) {
  char text[32];
  snprintf(text, sizeof text, "%lu", number);
  put_word(to, name, text);
}

/* ---- what a program of this language does with bytes: a codec ---- */

static int is_utf8(const unsigned char *at, size_t size) {
  for (size_t i = 0; i < size;) {
    size_t more = at[i] < 0x80                    ? 0
                  : at[i] >= 0xC2 && at[i] < 0xE0 ? 1
                  : at[i] >= 0xE0 && at[i] < 0xF0 ? 2
                  : at[i] >= 0xF0 && at[i] < 0xF5 ? 3
                                                  : 9;
    if (more == 9 || i + more >= size) return 0;
    for (size_t j = 1; j <= more; ++j)
      if ((at[i + j] & 0xC0) != 0x80) return 0;
    i += more + 1;
  }
  return 1;
}
/* "raw" takes everything; "text" wants text/plain, or no content type, and UTF-8. */
static int decodable(const char *codec, const ringlet_reply *reply, size_t index) {
  if (strcmp(codec, "text") != 0 || ringlet_reply_is_tombstone(reply, index)) return 1;
  ringlet_bytes type = ringlet_reply_content_type(reply, index),
                value = ringlet_reply_value(reply, index);
  if (type.size != 0 && (type.size != 10 || memcmp(type.data, "text/plain", 10) != 0)) return 0;
  return is_utf8(value.data, value.size);
}

/* ---- clients by name ---- */

typedef struct {
  char name[32];
  ringlet_client *client;
  ringlet_queue *queue;
} opened;
static opened clients[64];

static opened *client_of(const request *in) {
  const char *name = word_of(in, "client");
  for (size_t i = 0; i < sizeof clients / sizeof clients[0]; ++i)
    if (clients[i].client != NULL && strcmp(clients[i].name, name) == 0) return &clients[i];
  die("a request names a client that is not open");
  return NULL;
}

static void answer_error(buffer *out, ringlet_status status, const ringlet_error *error) {
  put_word(out, "status", ringlet_status_name(status));
  put_word(out, "message", ringlet_error_message(error));
  put_number(out, "maybe", (unsigned long)ringlet_error_maybe_applied(error));
  put_number(out, "retryable", (unsigned long)ringlet_error_retryable(error));
  ringlet_text *details = ringlet_error_details(error);
  ringlet_bytes text = ringlet_text_bytes(details);
  put_field(out, "details", text.data, text.size);
  ringlet_text_release(details);
}

static void do_open(const request *in, buffer *out) {
  ringlet_options *options = ringlet_options_new();
  ringlet_error *error = NULL;
  ringlet_status status = RINGLET_OK;
  for (size_t i = 0; i < in->count && status == RINGLET_OK; ++i) {
    if (strcmp(in->fields[i].name, "option") != 0) continue;
    char *name = in->fields[i].value.data, *equals = strchr(name, '=');
    if (equals == NULL) die("an option has no value");
    *equals = 0;
    status = ringlet_options_set(options, name, equals + 1, &error);
  }
  opened *place = NULL;
  for (size_t i = 0; i < sizeof clients / sizeof clients[0] && place == NULL; ++i)
    if (clients[i].client == NULL) place = &clients[i];
  if (place == NULL) die("too many clients");
  if (status == RINGLET_OK)
    status = ringlet_client_open(options, RINGLET_ABI, &place->client, &error);
  if (status == RINGLET_OK) {
    snprintf(place->name, sizeof place->name, "%s", word_of(in, "client"));
    if (ringlet_queue_new(&place->queue, NULL) != RINGLET_OK) die("no queue");
    put_word(out, "status", "OK");
  } else {
    answer_error(out, status, error);
  }
  ringlet_error_release(error);
  ringlet_options_release(options);
}

/* ---- replies ---- */

static void answer_reply(const request *in, buffer *out, const ringlet_reply *reply,
                         int show_value) {
  const char *codec = word_of(in, "codec");
  ringlet_bytes context = ringlet_reply_context(reply);
  put_field(out, "context", context.data, context.size);
  put_number(out, "merged", (unsigned long)ringlet_reply_merged(reply));
  ringlet_text *explained = ringlet_reply_explain(reply);
  ringlet_bytes text = ringlet_text_bytes(explained);
  put_field(out, "explain", text.data, text.size);
  ringlet_text_release(explained);
  size_t count = ringlet_reply_count(reply);
  for (size_t i = 0; i < count; ++i) {
    buffer version = {NULL, 0, 0};
    ringlet_bytes value = ringlet_reply_value(reply, i),
                  type = ringlet_reply_content_type(reply, i), dot = ringlet_reply_dot(reply, i);
    escape(&version, value.data, value.size);
    add_text(&version, ",");
    escape(&version, type.data, type.size);
    add_text(&version, ",");
    escape(&version, dot.data, dot.size);
    add_text(&version, ringlet_reply_is_tombstone(reply, i) ? ",1" : ",0");
    add_text(&version, decodable(codec, reply, i) ? ",0" : ",1");
    put_field(out, "version", version.data, version.size);
    free(version.data);
  }
  if (!show_value) return;
  if (count == 0) {
    put_word(out, "is", "missing");
  } else if (count > 1) {
    put_word(out, "is", "conflict");
  } else if (!decodable(codec, reply, 0)) {
    put_word(out, "is", "undecodable");
  } else {
    ringlet_bytes value = ringlet_reply_value(reply, 0);
    put_word(out, "is", "value");
    put_field(out, "value", value.data, value.size);
  }
}

static ringlet_call call_of(const request *in) {
  ringlet_call call = RINGLET_CALL_INIT;
  call.timeout_ms = (uint32_t)number_of(in, "timeout_ms");
  call.r = (uint8_t)number_of(in, "r");
  call.w = (uint8_t)number_of(in, "w");
  call.strict = (uint8_t)number_of(in, "strict");
  const char *durability = word_of(in, "durability");
  call.durability = strcmp(durability, "buffer") == 0 ? 1
                    : strcmp(durability, "log") == 0  ? 2
                    : strcmp(durability, "disk") == 0 ? 3
                                                      : 0;
  if (number_of(in, "siblings")) call.flags |= RINGLET_RETURN_SIBLINGS;
  if (strcmp(word_of(in, "deletes"), "win") == 0) call.flags |= RINGLET_DELETES_WIN;
  if (strcmp(word_of(in, "deletes"), "ask") == 0) call.flags |= RINGLET_DELETES_ASK;
  call.content_type = bytes_of(in, "content_type");
  const char *id = word_of(in, "write_id");
  for (size_t half = 0; half < 2 && strlen(id) == 32; ++half) {
    char digits[17];
    memcpy(digits, id + 16 * half, 16);
    digits[16] = 0;
    call.write_id[half] = strtoull(digits, NULL, 16);
  }
  return call;
}
static ringlet_key key_of(const request *in) {
  ringlet_key key;
  key.bucket = bytes_of(in, "bucket");
  key.key = bytes_of(in, "key");
  return key;
}

/* ---- the application's functions: an edit and a resolver ---- */

typedef struct {
  const request *in;
  ringlet_client *client;
  unsigned edits, merges, rivals;
  int raised, raised_after_write, conflict, undecodable;
  buffer seen;
} application;

typedef struct {
  ringlet_bytes at[4096];
  size_t count;
} tokens;

static void split(tokens *into, ringlet_bytes text) {
  const char *at = text.data, *end = at + text.size;
  while (at < end) {
    const char *stop = memchr(at, '+', (size_t)(end - at));
    if (stop == NULL) stop = end;
    if (stop > at && into->count < sizeof into->at / sizeof into->at[0]) {
      into->at[into->count].data = at;
      into->at[into->count++].size = (size_t)(stop - at);
    }
    at = stop + 1;
  }
}
static int by_bytes(const void *a, const void *b) {
  const ringlet_bytes *left = a, *right = b;
  size_t both = left->size < right->size ? left->size : right->size;
  int order = memcmp(left->data, right->data, both);
  if (order != 0) return order;
  return left->size < right->size ? -1 : left->size > right->size;
}
static void join(buffer *to, tokens *from, int each_once) {
  for (size_t i = 0; i < from->count; ++i) {
    if (each_once && i > 0 && by_bytes(&from->at[i - 1], &from->at[i]) == 0) continue;
    if (to->size != 0) add_text(to, "+");
    add_bytes(to, from->at[i].data, from->at[i].size);
  }
}
/* "alice:3" -> the length of "alice", and 3 */
static size_t name_of(ringlet_bytes entry, long *count) {
  const char *colon = memchr(entry.data, ':', entry.size);
  if (colon == NULL) return entry.size;
  char digits[24] = {0};
  size_t size = entry.size - (size_t)(colon + 1 - (const char *)entry.data);
  memcpy(digits, colon + 1, size < sizeof digits - 1 ? size : sizeof digits - 1);
  *count = strtol(digits, NULL, 10);
  return (size_t)(colon - (const char *)entry.data);
}

/* Blind writes of another writer while the application's function runs: "rival" in the edit, "rival_merge" in
   each of the first "rival_merges" merges. */
static void rival(application *app, const char *field_name) {
  const field *value = find(app->in, field_name);
  if (value == NULL) return;
  ringlet_call call = RINGLET_CALL_INIT;
  call.content_type = bytes_of(app->in, "content_type");
  buffer bytes = {NULL, 0, 0};
  add_bytes(&bytes, value->value.data, value->value.size);
  if (strcmp(field_name, "rival_merge") == 0) {
    char number[16];
    snprintf(number, sizeof number, "%u", app->merges);
    add_text(&bytes, number);
  }
  if (ringlet_put(app->client, key_of(app->in), text_view(""), view(&bytes), &call, NULL, NULL) !=
      RINGLET_OK)
    die("the rival's write failed");
  free(bytes.data);
}

enum result { VALUE, NOTHING, RAISE, DELETE, KEEP };

static enum result resolve(application *app, const ringlet_reply *siblings, buffer *value) {
  const char *what = word_of(app->in, "resolver"), *codec = word_of(app->in, "codec");
  size_t count = ringlet_reply_count(siblings);
  if (strcmp(what, "raise") == 0) return RAISE;
  if (strcmp(what, "nothing") == 0) return NOTHING;
  if (strcmp(what, "delete") == 0) return DELETE;
  if (strcmp(what, "keep") == 0) return KEEP;
  tokens *all = calloc(1, sizeof *all);
  if (all == NULL) die("no memory");
  int undecodable = 0, deleted = 0;
  for (size_t i = 0; i < count; ++i) {
    if (ringlet_reply_is_tombstone(siblings, i)) {
      deleted = 1;
      continue;
    }
    if (!decodable(codec, siblings, i)) {
      undecodable = 1;
      continue;
    }
    split(all, ringlet_reply_value(siblings, i));
  }
  if (undecodable) {
    all->at[all->count++] = text_view("undecodable");
  }
  if (deleted && strcmp(what, "delete_wins") == 0) {
    free(all);
    return DELETE;
  }
  qsort(all->at, all->count, sizeof all->at[0], by_bytes);
  if (strcmp(what, "counter") == 0) {
    for (size_t i = 0; i < all->count;) {
      long highest = 0, next = 0;
      size_t size = name_of(all->at[i], &highest), j = i + 1;
      for (; j < all->count && name_of(all->at[j], &next) == size &&
             memcmp(all->at[i].data, all->at[j].data, size) == 0;
           ++j)
        if (next > highest) highest = next;
      char number[32];
      snprintf(number, sizeof number, ":%ld", highest);
      if (value->size != 0) add_text(value, "+");
      add_bytes(value, all->at[i].data, size);
      add_text(value, number);
      i = j;
    }
  } else {
    join(value, all, 1);
  }
  free(all);
  return VALUE;
}

static enum result edit(application *app, int there, ringlet_bytes current, buffer *value) {
  char what[64];
  snprintf(what, sizeof what, "%s", word_of(app->in, "edit"));
  ringlet_bytes with = bytes_of(app->in, "with");
  if (strcmp(what, "raise") == 0) return RAISE;
  if (strcmp(what, "nothing") == 0) return NOTHING;
  if (strcmp(what, "delete") == 0) return DELETE;
  if (strcmp(what, "keep") == 0) return KEEP;
  if (strcmp(what, "set") == 0) {
    add_bytes(value, with.data, with.size);
  } else if (strcmp(what, "append") == 0) {
    if (there) add_bytes(value, current.data, current.size);
    if (value->size != 0) add_text(value, "+");
    add_bytes(value, with.data, with.size);
  } else if (strcmp(what, "count") == 0) { /* one more in its own entry, "with" */
    tokens *all = calloc(1, sizeof *all);
    if (all == NULL) die("no memory");
    if (there) split(all, current);
    long own = 0;
    buffer entry = {NULL, 0, 0};
    for (size_t i = 0; i < all->count; ++i) {
      long count = 0;
      size_t size = name_of(all->at[i], &count);
      if (size != with.size || memcmp(all->at[i].data, with.data, size) != 0) continue;
      own = count;
      all->at[i] = all->at[--all->count];
      break;
    }
    char number[32];
    snprintf(number, sizeof number, ":%ld", own + 1);
    add_bytes(&entry, with.data, with.size);
    add_text(&entry, number);
    all->at[all->count++] = view(&entry);
    qsort(all->at, all->count, sizeof all->at[0], by_bytes);
    join(value, all, 0);
    free(entry.data);
    free(all);
  } else {
    die("a request has an edit that is not known");
  }
  return VALUE;
}

static void wait_ms(unsigned long ms) {
  struct timespec time;
  time.tv_sec = (time_t)(ms / 1000);
  time.tv_nsec = (long)(ms % 1000) * 1000000;
  nanosleep(&time, NULL);
}

/* "e2,m3": which questions the application's functions were asked, about how many versions. */
static void note(application *app, char question, size_t count) {
  char text[32];
  snprintf(text, sizeof text, "%s%c%u", app->seen.size ? "," : "", question, (unsigned)count);
  add_text(&app->seen, text);
}

static int asked(void *user_data, ringlet_merge *merge) {
  application *app = user_data;
  const ringlet_reply *siblings = ringlet_merge_siblings(merge);
  size_t count = ringlet_reply_count(siblings);
  int written = ringlet_merge_written(merge), has_resolver = find(app->in, "resolver") != NULL;
  const char *codec = word_of(app->in, "codec");
  buffer value = {NULL, 0, 0}, current = {NULL, 0, 0};
  enum result result = VALUE;
  int there = count > 0, undecodable = 0;
  for (size_t i = 0; i < count; ++i) undecodable |= !decodable(codec, siblings, i);
  add_bytes(&value, "", 0);
  add_bytes(&current, "", 0);
  if (written) {
    if (!has_resolver) {
      ringlet_merge_keep(merge);
      free(value.data);
      free(current.data);
      return 0;
    }
    note(app, 'm', count);
    ++app->merges;
    if (app->merges <= number_of(app->in, "rival_merges")) rival(app, "rival_merge");
    wait_ms(number_of(app->in, "merge_ms"));
    result = resolve(app, siblings, &value);
  } else {
    if ((count > 1 || undecodable) && !has_resolver) {
      if (count > 1)
        app->conflict = 1;
      else
        app->undecodable = 1;
      free(value.data);
      free(current.data);
      return 1;
    }
    note(app, 'e', count);
    if (count > 1 || undecodable) {
      result = resolve(app, siblings, &current);
      if (result == DELETE) {
        there = 0;
        result = VALUE;
      }
    } else if (count == 1) {
      ringlet_bytes one = ringlet_reply_value(siblings, 0);
      add_bytes(&current, one.data, one.size);
      there = !ringlet_reply_is_tombstone(siblings, 0);
    }
    if (result == VALUE) {
      ++app->edits;
      rival(app, "rival");
      wait_ms(number_of(app->in, "edit_ms"));
      result = edit(app, there, view(&current), &value);
    }
  }
  int back = 0;
  if (result == VALUE) {
    ringlet_merge_answer(merge, view(&value));
  } else if (result == DELETE) {
    ringlet_merge_erase(merge);
  } else if (result == KEEP) {
    ringlet_merge_keep(merge);
  } else if (result == RAISE) {
    app->raised = 1;
    app->raised_after_write = written;
    ringlet_merge_fail(merge, "the application's function failed");
    if (use_queue == 0) back = 1;
  } else {
    app->raised_after_write = written;
  }
  free(value.data);
  free(current.data);
  return back;
}

/* ---- calls ---- */

static ringlet_status by_queue(opened *on, uint32_t kind, const request *in,
                               const ringlet_bytes *value, const ringlet_call *call,
                               application *app, ringlet_reply **reply, ringlet_error **error) {
  ringlet_op op;
  memset(&op, 0, sizeof op);
  op.kind = kind;
  op.tag = 7;
  op.key = key_of(in);
  op.context = bytes_of(in, "context");
  op.value = value == NULL ? bytes_of(in, "value") : *value;
  op.call = call;
  ringlet_status status = ringlet_submit(on->client, on->queue, &op, sizeof op, 1, NULL, error);
  if (status != RINGLET_OK) return status;
  for (;;) {
    ringlet_event event;
    size_t count = 0;
    if (ringlet_drain(on->queue, &event, sizeof event, 1, -1, &count) != RINGLET_OK)
      die("drain failed");
    if (count == 0) continue;
    if (event.kind == RINGLET_MERGE) {
      if (asked(app, event.merge) != 0)
        ringlet_merge_fail(event.merge, "the application's function failed");
      ringlet_event_clear(&event);
      continue;
    }
    status = event.status;
    *reply = event.reply;
    *error = event.error;
    event.reply = NULL;
    event.error = NULL;
    ringlet_event_clear(&event);
    return status;
  }
}

static void do_call(const request *in, buffer *out, uint32_t kind) {
  opened *on = client_of(in);
  ringlet_call call = call_of(in);
  ringlet_reply *reply = NULL;
  ringlet_error *error = NULL;
  ringlet_status status;
  application app;
  memset(&app, 0, sizeof app);
  app.in = in;
  app.client = on->client;
  add_text(&app.seen, "");
  if (kind == RINGLET_UPDATE && strcmp(word_of(in, "resolver"), "factory") == 0) {
    /* C has functions and no factories of them: what can be got wrong is a resolver without a function. */
    ringlet_resolver resolver = {NULL, NULL, NULL};
    status = ringlet_update(on->client, key_of(in), &resolver, &call, &reply, &error);
  } else if (use_queue) {
    status = by_queue(on, kind, in, NULL, &call, &app, &reply, &error);
  } else if (kind == RINGLET_GET) {
    status = ringlet_get(on->client, key_of(in), &call, &reply, &error);
  } else if (kind == RINGLET_PUT) {
    status = ringlet_put(on->client, key_of(in), bytes_of(in, "context"), bytes_of(in, "value"),
                         &call, &reply, &error);
  } else if (kind == RINGLET_DELETE) {
    status = ringlet_delete(on->client, key_of(in), bytes_of(in, "context"), &call, &reply, &error);
  } else {
    ringlet_resolver resolver = {asked, NULL, NULL};
    resolver.user_data = &app;
    status = ringlet_update(on->client, key_of(in), &resolver, &call, &reply, &error);
  }
  if (status == RINGLET_OK && app.raised && app.raised_after_write &&
      !ringlet_reply_merged(reply)) {
    /* Where the write is acknowledged C says it with a reply that is not merged. */
    put_word(out, "status", "RAISED");
    put_number(out, "applied", 1);
  } else if (status == RINGLET_MERGE_FAILED && app.raised) {
    put_word(out, "status", "RAISED");
    put_number(out, "applied", (unsigned long)ringlet_error_maybe_applied(error));
  } else if (status == RINGLET_MERGE_FAILED && app.conflict) {
    put_word(out, "status", "CONFLICT");
    put_word(out, "code", ringlet_status_name(status));
    put_number(out, "applied", (unsigned long)ringlet_error_maybe_applied(error));
  } else if (status == RINGLET_MERGE_FAILED && app.undecodable) {
    put_word(out, "status", "UNDECODABLE");
    put_number(out, "applied", (unsigned long)ringlet_error_maybe_applied(error));
  } else if (status == RINGLET_OK) {
    put_word(out, "status", "OK");
    answer_reply(in, out, reply, kind == RINGLET_GET || kind == RINGLET_UPDATE);
  } else {
    answer_error(out, status, error);
  }
  if (kind == RINGLET_UPDATE) {
    put_number(out, "edits", app.edits);
    put_number(out, "merges", app.merges);
    put_field(out, "seen", app.seen.data, app.seen.size);
  }
  free(app.seen.data);
  ringlet_reply_release(reply);
  ringlet_error_release(error);
}

/* ---- documents ---- */

static ringlet_scalar text_scalar(const char *text, size_t size) {
  ringlet_scalar scalar;
  memset(&scalar, 0, sizeof scalar);
  scalar.kind = RINGLET_TEXT;
  scalar.text.data = text;
  scalar.text.size = size;
  return scalar;
}

/* "increment items/tea 2": what is to be done, the fields to it, a value or an amount. */
static ringlet_status append_edit(ringlet_edits *edits, char *words, ringlet_error **error) {
  static const char *const kinds[] = {"",       "add",     "remove", "increment", "set",  "set_all",
                                      "enable", "disable", "erase",  "discard",   "clear"};
  char *path = strchr(words, ' '), *value = NULL;
  if (path == NULL) die("an edit has no path");
  *path++ = 0;
  value = strchr(path, ' ');
  if (value != NULL) *value++ = 0;
  if (value == NULL) value = path + strlen(path);
  uint32_t kind = 1;
  while (kind <= RINGLET_EDIT_CLEAR && strcmp(kinds[kind], words) != 0) ++kind;
  ringlet_scalar names[8];
  size_t count = 0;
  for (char *at = path, *end; *at != 0 && count < 8; at = end + (*end == '/')) {
    end = at + strcspn(at, "/");
    names[count++] = text_scalar(at, (size_t)(end - at));
  }
  ringlet_scalar scalar = text_scalar(value, strlen(value));
  return ringlet_edits_append(edits, kind, names, count, &scalar,
                              kind == RINGLET_EDIT_INCREMENT ? strtoll(value, NULL, 10) : 0, error);
}

/* "coupons:A,B;gift;items:tea 2": the fields in order, what is empty is left out. */
static void answer_document(buffer *out, const ringlet_reply *reply) {
  ringlet_document *document = NULL;
  ringlet_error *error = NULL;
  ringlet_status status = ringlet_document_read(reply, &document, &error);
  if (status != RINGLET_OK) {
    put_word(out, "document_status", ringlet_status_name(status));
    ringlet_error_release(error);
    return;
  }
  buffer text = {NULL, 0, 0};
  add_text(&text, "");
  size_t count = ringlet_document_count(document);
  int inside = 0;
  for (size_t i = 0; i < count; ++i) {
    ringlet_item item;
    ringlet_document_item(document, i, &item, sizeof item);
    if (item.depth == 0) {
      if (text.size != 0) add_text(&text, ";");
      add_bytes(&text, item.name.text.data, item.name.text.size);
      inside = 0;
      if (item.type == RINGLET_REGISTER) {
        add_text(&text, ":");
        add_bytes(&text, item.value.text.data, item.value.text.size);
      }
      continue;
    }
    add_text(&text, inside++ ? "," : ":");
    if (item.type == RINGLET_ELEMENT) {
      add_bytes(&text, item.value.text.data, item.value.text.size);
    } else {
      char number[32];
      snprintf(number, sizeof number, " %lld", (long long)item.value.integer);
      add_bytes(&text, item.name.text.data, item.name.text.size);
      add_text(&text, number);
    }
  }
  put_field(out, "document", text.data, text.size);
  free(text.data);
  ringlet_document_release(document);
}

static void do_document(const request *in, buffer *out, int edit) {
  opened *on = client_of(in);
  ringlet_call call = call_of(in);
  ringlet_reply *reply = NULL;
  ringlet_error *error = NULL;
  ringlet_edits *edits = NULL;
  ringlet_status status = RINGLET_OK;
  if (!edit) {
    status = ringlet_get(on->client, key_of(in), &call, &reply, &error);
  } else {
    status = ringlet_edits_new(&edits, &error);
    for (size_t i = 0; i < in->count && status == RINGLET_OK; ++i)
      if (strcmp(in->fields[i].name, "edit") == 0)
        status = append_edit(edits, in->fields[i].value.data, &error);
    if (status == RINGLET_OK && use_queue) {
      ringlet_bytes bytes = ringlet_edits_bytes(edits);
      status = by_queue(on, RINGLET_EDIT, in, &bytes, &call, NULL, &reply, &error);
    } else if (status == RINGLET_OK) {
      status =
          ringlet_edit(on->client, key_of(in), ringlet_edits_bytes(edits), &call, &reply, &error);
    }
  }
  if (status == RINGLET_OK) {
    put_word(out, "status", "OK");
    answer_document(out, reply);
  } else {
    answer_error(out, status, error);
  }
  ringlet_edits_release(edits);
  ringlet_reply_release(reply);
  ringlet_error_release(error);
}

/* Each "key" field is one key; the answer has an "item", a whole answer, for each. */
static void do_multi_get(const request *in, buffer *out) {
  opened *on = client_of(in);
  ringlet_call call = call_of(in);
  ringlet_key keys[MOST_FIELDS];
  ringlet_reply *replies[MOST_FIELDS] = {NULL};
  ringlet_error *errors[MOST_FIELDS] = {NULL};
  size_t count = 0;
  for (size_t i = 0; i < in->count; ++i) {
    if (strcmp(in->fields[i].name, "key") != 0) continue;
    keys[count].bucket = bytes_of(in, "bucket");
    keys[count++].key = view(&in->fields[i].value);
  }
  ringlet_status status = ringlet_multi_get(on->client, keys, count, &call, replies, errors);
  int any = 0;
  for (size_t i = 0; i < count; ++i) any |= replies[i] != NULL || errors[i] != NULL;
  put_word(out, "status", status == RINGLET_OK || any ? "OK" : ringlet_status_name(status));
  for (size_t i = 0; i < count; ++i) {
    buffer item = {NULL, 0, 0};
    if (replies[i] != NULL) {
      put_word(&item, "status", "OK");
      answer_reply(in, &item, replies[i], 1);
    } else {
      answer_error(&item, ringlet_error_status(errors[i]), errors[i]);
    }
    put_field(out, "item", item.data, item.size);
    free(item.data);
    ringlet_reply_release(replies[i]);
    ringlet_error_release(errors[i]);
  }
}

static void do_compare(const request *in, buffer *out) {
  int order = 0;
  ringlet_status status =
      ringlet_context_compare(bytes_of(in, "left"), bytes_of(in, "right"), &order);
  if (status != RINGLET_OK) {
    answer_error(out, status, NULL);
    return;
  }
  put_word(out, "status", "OK");
  put_word(out, "order",
           order == -1  ? "before"
           : order == 0 ? "same"
           : order == 1 ? "after"
                        : "concurrent");
}

static void do_close(const request *in, buffer *out) {
  opened *on = client_of(in);
  put_word(out, "status", ringlet_status_name(ringlet_client_close(on->client, 1000)));
}
static void do_release(const request *in, buffer *out) {
  opened *on = client_of(in);
  ringlet_queue_release(on->queue);
  ringlet_client_close(on->client, 0);
  ringlet_client_release(on->client);
  memset(on, 0, sizeof *on);
  put_word(out, "status", "OK");
}

int main(void) {
  char *line = NULL;
  size_t room = 0;
  static request in;
  while (getline(&line, &room, stdin) > 0) {
    buffer out = {NULL, 0, 0};
    parse(&in, line);
    const char *what = word_of(&in, "do");
    use_queue = number_of(&in, "async") != 0;
    if (strcmp(what, "open") == 0) {
      do_open(&in, &out);
    } else if (strcmp(what, "close") == 0) {
      do_close(&in, &out);
    } else if (strcmp(what, "release") == 0) {
      do_release(&in, &out);
    } else if (strcmp(what, "get") == 0) {
      do_call(&in, &out, RINGLET_GET);
    } else if (strcmp(what, "put") == 0) {
      do_call(&in, &out, RINGLET_PUT);
    } else if (strcmp(what, "delete") == 0) {
      do_call(&in, &out, RINGLET_DELETE);
    } else if (strcmp(what, "update") == 0) {
      do_call(&in, &out, RINGLET_UPDATE);
    } else if (strcmp(what, "edit") == 0) {
      do_document(&in, &out, 1);
    } else if (strcmp(what, "read") == 0) {
      do_document(&in, &out, 0);
    } else if (strcmp(what, "multi_get") == 0) {
      do_multi_get(&in, &out);
    } else if (strcmp(what, "compare") == 0) {
      do_compare(&in, &out);
    } else {
      die("a request has a verb that is not known");
    }
    add_text(&out, "\n");
    fwrite(out.data, 1, out.size, stdout);
    fflush(stdout);
    free(out.data);
    forget(&in);
  }
  free(line);
  for (size_t i = 0; i < sizeof clients / sizeof clients[0]; ++i) {
    ringlet_queue_release(clients[i].queue);
    ringlet_client_release(clients[i].client);
  }
  return 0;
}
