/* A client of the history checker on the C surface: it does what the lines on its standard input say and
 * answers each with one line. Bytes are hexadecimal, "-" for none.
 *
 *   usage: history_client SEEDS CLUSTER server|client
 *   get KEY STRICT R TIMEOUT_MS
 *   put KEY STRICT W TIMEOUT_MS WRITE_ID_HIGH WRITE_ID_LOW CONTEXT VALUE
 *   delete KEY STRICT W TIMEOUT_MS WRITE_ID_HIGH WRITE_ID_LOW CONTEXT
 *   -> STATUS MAYBE CONTEXT MESSAGE COUNT VERSION...      a version is its value, or "T" for a delete
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringlet/ringlet.h"

static const char bucket[] = "history";

static void fail(const char *what, ringlet_error *error) {
  fprintf(stderr, "history_client: %s: %s\n", what, ringlet_error_message(error));
  exit(2);
}

static int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place. */
static ringlet_bytes from_hex(char *text) {
  ringlet_bytes bytes = {text, 0};
  size_t size = strlen(text);
  if (strcmp(text, "-") == 0) return bytes;
  if (size % 2 != 0) fail("wanted an even number of hexadecimal digits", NULL);
  for (size_t i = 0; i < size; i += 2) {
    int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) fail("wanted hexadecimal digits", NULL);
    text[i / 2] = (char)(high * 16 + low);
  }
  bytes.size = size / 2;
  return bytes;
}

static void print_hex(const void *data, size_t size) {
  const unsigned char *bytes = data;
  if (size == 0) putchar('-');
  for (size_t i = 0; i < size; ++i) printf("%02x", bytes[i]);
}

static char *next(void) {
  char *field = strtok(NULL, " \n");
  if (field == NULL) fail("a field is missing", NULL);
  return field;
}

int main(int argc, char **argv) {
  ringlet_options *options = ringlet_options_new();
  ringlet_client *client = NULL;
  ringlet_error *error = NULL;
  if (argc != 4) {
    fprintf(stderr, "usage: history_client SEEDS CLUSTER server|client\n");
    return 2;
  }
  if (ringlet_options_set(options, "client.seeds", argv[1], &error) != RINGLET_OK ||
      ringlet_options_set(options, "client.cluster", argv[2], &error) != RINGLET_OK ||
      ringlet_options_set(options, "client.coordination", argv[3], &error) != RINGLET_OK ||
      ringlet_client_open(options, RINGLET_ABI, &client, &error) != RINGLET_OK)
    fail("no client", error);
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    const char *what = strtok(line, " \n");
    if (what == NULL) fail("an empty line", NULL);
    ringlet_bytes name = from_hex(next());
    ringlet_key key = {{bucket, sizeof bucket - 1}, name};
    ringlet_call call = RINGLET_CALL_INIT;
    ringlet_reply *reply = NULL;
    ringlet_status status;
    call.flags = RINGLET_RETURN_SIBLINGS;
    call.strict = (uint8_t)atoi(next());
    uint8_t copies = (uint8_t)atoi(next());
    call.timeout_ms = (uint32_t)atoi(next());
    if (strcmp(what, "get") == 0) {
      call.r = copies;
      call.flags = 0;
      status = ringlet_get(client, key, &call, &reply, &error);
    } else {
      call.w = copies;
      call.write_id[0] = strtoull(next(), NULL, 10);
      call.write_id[1] = strtoull(next(), NULL, 10);
      ringlet_bytes context = from_hex(next());
      if (strcmp(what, "put") == 0)
        status = ringlet_put(client, key, context, from_hex(next()), &call, &reply, &error);
      else
        status = ringlet_delete(client, key, context, &call, &reply, &error);
    }
    ringlet_bytes context = ringlet_reply_context(reply);
    const char *message = status == RINGLET_OK ? "" : ringlet_error_message(error);
    printf("%s %d ", status == RINGLET_OK ? "ok" : ringlet_status_name(status),
           ringlet_error_maybe_applied(error));
    print_hex(context.data, context.size);
    putchar(' ');
    print_hex(message, strlen(message));
    printf(" %zu", ringlet_reply_count(reply));
    for (size_t i = 0; i < ringlet_reply_count(reply); ++i) {
      ringlet_bytes value = ringlet_reply_value(reply, i);
      putchar(' ');
      if (ringlet_reply_is_tombstone(reply, i))
        putchar('T');
      else
        print_hex(value.data, value.size);
    }
    putchar('\n');
    fflush(stdout);
    ringlet_reply_release(reply);
    ringlet_error_release(error);
    error = NULL;
  }
  free(line);
  ringlet_client_close(client, 0);
  ringlet_client_release(client);
  ringlet_options_release(options);
  return 0;
}
