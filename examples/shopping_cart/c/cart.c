/* A shopping cart that takes every change, in C.
 *
 *   cart SEEDS CUSTOMER add ITEM...      cart SEEDS CUSTOMER remove ITEM      cart SEEDS CUSTOMER show
 *
 * SEEDS is "host:port" of one or more nodes, with commas. The cart of CUSTOMER is the key of that
 * name in the bucket "carts"; its value is text, one item a line, in order (of their bytes). The
 * cpp, python and java examples keep the same carts, so all four may be used on one at once.
 *
 * Two shoppers may change a cart at the same time, on two sides of a broken network even: then
 * there are two versions of it. Whoever comes next puts everything that is in either one into the
 * cart (so an item that one of them removed may come back: it is better to be asked for it twice
 * than to lose what was added).
 *
 * Exit code: 0 done, 1 the cluster could not, 2 used wrongly.
 */
#include <ringlet/ringlet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a set of items, sorted ---- */

typedef struct {
  char **items;
  size_t count;
  int no_memory; /* remembered, so that only the end has to ask */
} cart;

static void cart_free(cart *c) {
  size_t i;
  for (i = 0; i < c->count; i++) free(c->items[i]);
  free(c->items);
  memset(c, 0, sizeof *c);
}

/* Where the item is, or belongs. */
static size_t cart_find(const cart *c, const char *item, int *found) {
  size_t i = 0;
  while (i < c->count && strcmp(c->items[i], item) < 0) i++;
  *found = i < c->count && strcmp(c->items[i], item) == 0;
  return i;
}

static void cart_add(cart *c, const char *text, size_t size) {
  int found;
  size_t at;
  char **items;
  char *item;
  if (size == 0 || memchr(text, '\0', size) != NULL) return;
  item = malloc(size + 1);
  items = realloc(c->items, (c->count + 1) * sizeof *items);
  if (items != NULL) c->items = items;
  if (item == NULL || items == NULL) {
    free(item);
    c->no_memory = 1;
    return;
  }
  memcpy(item, text, size);
  item[size] = '\0';
  at = cart_find(c, item, &found);
  if (found) {
    free(item);
    return;
  }
  memmove(items + at + 1, items + at, (c->count - at) * sizeof *items);
  items[at] = item;
  c->count++;
}

static void cart_remove(cart *c, const char *item) {
  int found;
  size_t at = cart_find(c, item, &found);
  if (!found) return;
  free(c->items[at]);
  c->count--;
  memmove(c->items + at, c->items + at + 1, (c->count - at) * sizeof *c->items);
}

/* Everything that is in any version. */
static void cart_union(cart *c, const ringlet_reply *versions) {
  size_t i;
  for (i = 0; i < ringlet_reply_count(versions); i++) {
    ringlet_bytes value = ringlet_reply_value(versions, i);
    const char *line = value.data, *end = line + value.size;
    while (line < end) {
      const char *stop = memchr(line, '\n', (size_t)(end - line));
      if (stop == NULL) stop = end;
      cart_add(c, line, (size_t)(stop - line));
      line = stop + 1;
    }
  }
}

static char *cart_text(const cart *c, size_t *size) {
  size_t i, length = 0;
  char *text, *at;
  for (i = 0; i < c->count; i++) length += strlen(c->items[i]) + 1;
  text = at = malloc(length + 1);
  if (text == NULL) return NULL;
  for (i = 0; i < c->count; i++) {
    size_t n = strlen(c->items[i]);
    memcpy(at, c->items[i], n);
    at[n] = '\n';
    at += n + 1;
  }
  *size = length;
  return text;
}

/* ---- changing the cart of a customer ---- */

typedef struct {
  int removing;
  char **items;
  int count;
} change;

/* Ringlet asks: these are the versions there are, what is the cart? It may ask again, with what
   others wrote meanwhile. */
static int resolve(void *user_data, ringlet_merge *merge) {
  const change *wanted = user_data;
  const ringlet_reply *versions = ringlet_merge_siblings(merge);
  cart merged = {NULL, 0, 0};
  ringlet_bytes value = {NULL, 0}, old = ringlet_reply_value(versions, 0);
  char *text;
  int i;

  cart_union(&merged, versions);
  /* A merge after the write holds this change already: editing again would undo what others did
     since, a removal of theirs for example. */
  for (i = 0; i < wanted->count && !ringlet_merge_written(merge); i++) {
    if (wanted->removing) {
      cart_remove(&merged, wanted->items[i]);
    } else {
      cart_add(&merged, wanted->items[i], strlen(wanted->items[i]));
    }
  }
  text = merged.no_memory ? NULL : cart_text(&merged, &value.size);
  value.data = text;
  if (text == NULL) {
    ringlet_merge_fail(merge, "no memory");
  } else if (ringlet_reply_count(versions) == 1 && old.size == value.size && value.size > 0 &&
             memcmp(old.data, value.data, value.size) == 0) {
    ringlet_merge_keep(merge); /* as it is already: nothing to write */
  } else {
    ringlet_merge_answer(merge, value);
  }
  free(text);
  cart_free(&merged);
  return 0;
}

static void print(const ringlet_reply *reply) {
  cart c = {NULL, 0, 0};
  size_t i;
  cart_union(&c, reply);
  for (i = 0; i < c.count; i++) puts(c.items[i]);
  cart_free(&c);
}

static int usage(const char *why) {
  fprintf(stderr, "cart: %s\nusage: cart SEEDS CUSTOMER add ITEM... | remove ITEM | show\n", why);
  return 2;
}

int main(int argc, char **argv) {
  ringlet_error *error = NULL;
  ringlet_client *client = NULL;
  ringlet_reply *reply = NULL;
  ringlet_options *options;
  ringlet_call call = RINGLET_CALL_INIT;
  ringlet_key key = {{"carts", 5}, {NULL, 0}};
  ringlet_resolver resolver = {resolve, NULL, NULL};
  change wanted = {0, NULL, 0};
  int show, i, failed;

  if (argc < 4) return usage("something is missing");
  show = strcmp(argv[3], "show") == 0;
  wanted.removing = strcmp(argv[3], "remove") == 0;
  wanted.items = argv + 4;
  wanted.count = argc - 4;
  if (!show && !wanted.removing && strcmp(argv[3], "add") != 0)
    return usage("wanted add, remove or show");
  if (show ? wanted.count != 0 : wanted.removing ? wanted.count != 1 : wanted.count < 1) {
    return usage("add takes items, remove takes one item, show takes none");
  }
  for (i = 0; i < wanted.count; i++) {
    if (*wanted.items[i] == '\0' || strchr(wanted.items[i], '\n') != NULL) {
      return usage("an item is one line of text");
    }
  }
  key.key.data = argv[2];
  key.key.size = strlen(argv[2]);
  resolver.user_data = &wanted;
  call.timeout_ms = 5000;
  call.content_type.data = "text/plain";
  call.content_type.size = strlen("text/plain");

  options = ringlet_options_new();
  if (ringlet_options_set(options, "client.seeds", argv[1], &error) == RINGLET_OK &&
      ringlet_client_open(options, RINGLET_ABI, &client, &error) == RINGLET_OK &&
      (show ? ringlet_get(client, key, &call, &reply, &error)
            : ringlet_update(client, key, &resolver, &call, &reply, &error)) == RINGLET_OK) {
    print(reply);
  }
  failed = error != NULL;
  if (failed) {
    fprintf(stderr, "cart: %s%s\n", ringlet_error_message(error),
            ringlet_error_maybe_applied(error) ? " (the change may have been made)" : "");
  }
  ringlet_reply_release(reply);
  ringlet_client_release(client);
  ringlet_options_release(options);
  ringlet_error_release(error);
  return failed;
}
