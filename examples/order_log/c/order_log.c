/* The log of an order, in C: an edit that must not be made twice, and a resolver of our own.
 *
 *   order_log SEEDS ORDER append TEXT        order_log SEEDS ORDER show
 *
 * The log of ORDER is a value in the bucket "orders": UTF-8 text, one entry a line, in order. An
 * entry is "NUMBER ID TEXT", where NUMBER is one more than the greatest that its writer saw and
 * ID is drawn at random. So two clerks who append at the same time write two entries with one
 * number, and the same words twice are two entries, too. The cpp, java and python examples write
 * the same logs.
 *
 * ringlet_update asks for the edit at most once, and exactly once when it succeeds. When that
 * write met others it asks again, for a merge: then the entry is in the log already, and
 * appending again would put it there twice.
 *
 * Exit code: 0 done, 1 the cluster could not, 2 used wrongly.
 */
#include <ringlet/ringlet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the lines of all versions, as views into the reply ---- */

typedef struct {
  ringlet_bytes *at;
  size_t count;
} lines;

static int by_bytes(const void *left, const void *right) {
  const ringlet_bytes *a = left, *b = right;
  int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
  return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* Every entry of any version, each once, in order: an entry that two versions share is the same line
   in both. 0: no memory. */
static int lines_of(lines *of, const ringlet_reply *versions) {
  size_t i, unique = 0, room = 1;
  for (i = 0; i < ringlet_reply_count(versions); i++)
    room += ringlet_reply_value(versions, i).size; /* a line has one byte at least */
  of->count = 0;
  of->at = malloc(room * sizeof *of->at);
  if (of->at == NULL) return 0;
  for (i = 0; i < ringlet_reply_count(versions); i++) {
    ringlet_bytes value = ringlet_reply_value(versions, i);
    const char *line = value.data, *end = line + value.size;
    while (line < end) {
      const char *stop = memchr(line, '\n', (size_t)(end - line));
      if (stop == NULL) stop = end;
      of->at[of->count].data = line;
      of->at[of->count++].size = (size_t)(stop - line);
      line = stop + 1;
    }
  }
  qsort(of->at, of->count, sizeof *of->at, by_bytes);
  for (i = 0; i < of->count; i++) {
    if (unique == 0 || by_bytes(&of->at[unique - 1], &of->at[i]) != 0) of->at[unique++] = of->at[i];
  }
  of->count = unique;
  return 1;
}

/* "00000003 9f… packed" -> 3 and the rest of the line. A line that has no number counts as 0. */
static unsigned long number_of(ringlet_bytes line) {
  char digits[9] = {0};
  memcpy(digits, line.data, line.size < 8 ? line.size : 8);
  return strtoul(digits, NULL, 10);
}

/* ---- what ringlet_update asks ---- */

/* Random bits, from the system. */
static int draw(unsigned char *id, size_t size) {
  FILE *random = fopen("/dev/urandom", "rb");
  int drawn = random != NULL && fread(id, 1, size, random) == size;
  if (random != NULL) fclose(random);
  return drawn;
}

/* Answers with the lines of all versions and, in the edit, with `text` as one entry more. */
static int resolve(void *user_data, ringlet_merge *merge) {
  const char *text = ringlet_merge_written(merge) ? NULL : user_data;
  lines log;
  unsigned char id[8];
  size_t i, size = text == NULL ? 1 : strlen(text) + 64; /* with room for a number and an id */
  char *value, *at;
  ringlet_bytes answer = {NULL, 0};

  if (!lines_of(&log, ringlet_merge_siblings(merge))) {
    ringlet_merge_fail(merge, "no memory");
    return 0;
  }
  for (i = 0; i < log.count; i++) size += log.at[i].size + 1;
  value = at = malloc(size);
  if (value == NULL || (text != NULL && !draw(id, sizeof id))) {
    ringlet_merge_fail(merge, value == NULL ? "no memory" : "/dev/urandom cannot be read");
  } else {
    for (i = 0; i < log.count; i++) {
      memcpy(at, log.at[i].data, log.at[i].size);
      at += log.at[i].size;
      *at++ = '\n';
    }
    if (text != NULL) { /* not idempotent: made twice, it would be two entries */
      unsigned long last = log.count == 0 ? 0 : number_of(log.at[log.count - 1]);
      at += sprintf(at, "%08lu ", last + 1);
      for (i = 0; i < sizeof id; i++) at += sprintf(at, "%02x", id[i]);
      at += sprintf(at, " %s\n", text);
    }
    answer.data = value;
    answer.size = (size_t)(at - value);
    ringlet_merge_answer(merge, answer);
  }
  free(value);
  free(log.at);
  return 0;
}

/* 0: no memory. */
static int print(const ringlet_reply *reply) {
  lines log;
  size_t i;
  if (!lines_of(&log, reply)) return 0;
  for (i = 0; i < log.count; i++) {
    ringlet_bytes line = log.at[i];
    if (line.size > 26) /* NUMBER and ID have 8 and 16 digits */
      printf("%lu %.*s\n", number_of(line), (int)line.size - 26, (const char *)line.data + 26);
  }
  free(log.at);
  return 1;
}

static int usage(void) {
  fprintf(stderr, "usage: order_log SEEDS ORDER append TEXT | show\n");
  fprintf(stderr, "order_log: an entry is one line of text\n");
  return 2;
}

int main(int argc, char **argv) {
  ringlet_options *options;
  ringlet_client *client = NULL;
  ringlet_reply *reply = NULL;
  ringlet_error *error = NULL;
  ringlet_call call = RINGLET_CALL_INIT;
  ringlet_key key = {{"orders", 6}, {NULL, 0}};
  ringlet_resolver resolver = {resolve, NULL, NULL};
  int show = argc == 4 && strcmp(argv[3], "show") == 0, failed = 0;

  if (!show && (argc != 5 || strcmp(argv[3], "append") != 0)) return usage();
  if (!show && (*argv[4] == '\0' || strchr(argv[4], '\n') != NULL)) return usage();
  key.key.data = argv[2];
  key.key.size = strlen(argv[2]);
  resolver.user_data = argv[4];
  call.timeout_ms = 5000;
  call.content_type.data = "text/plain";
  call.content_type.size = strlen("text/plain");

  options = ringlet_options_new(); /* NULL without memory: the next call says so */
  if (ringlet_options_set(options, "client.seeds", argv[1], &error) == RINGLET_OK &&
      ringlet_client_open(options, RINGLET_ABI, &client, &error) == RINGLET_OK &&
      (show ? ringlet_get(client, key, &call, &reply, &error)
            : ringlet_update(client, key, &resolver, &call, &reply, &error)) == RINGLET_OK) {
    failed = !print(reply);
    if (failed) fprintf(stderr, "order_log: no memory\n");
  }
  if (error != NULL) {
    failed = 1;
    fprintf(stderr, "order_log: %s%s\n", ringlet_error_message(error),
            ringlet_error_maybe_applied(error)
                ? " (the entry may be in the log: look before you append it again)"
                : "");
  }
  ringlet_reply_release(reply);
  ringlet_client_release(client);
  ringlet_options_release(options);
  ringlet_error_release(error);
  return failed;
}
