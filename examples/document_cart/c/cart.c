/* A shopping cart as a document, in C: no merge is written, and what was removed stays away.
 *
 *   cart SEEDS CUSTOMER show                    cart SEEDS CUSTOMER add THING [AMOUNT]
 *   cart SEEDS CUSTOMER remove THING            cart SEEDS CUSTOMER coupon CODE
 *
 * SEEDS is "host:port" of one or more nodes, with commas. The cart is the document CUSTOMER in the
 * bucket "baskets": a map "items" of counters and a set "coupons". The cpp, java and python examples
 * use the same carts. Two shoppers may change a cart at the same time: amounts add up, and a thing is
 * gone only if the shopper who removed it had seen it.
 *
 * Exit code: 0 done, 1 the cluster could not, 2 used wrongly.
 */
#include <ringlet/ringlet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ringlet_scalar text(const char *of) {
  ringlet_scalar scalar;
  memset(&scalar, 0, sizeof scalar);
  scalar.kind = RINGLET_TEXT;
  scalar.text.data = of;
  scalar.text.size = strlen(of);
  return scalar;
}

static int is(const ringlet_scalar *scalar, const char *wanted) {
  return scalar->kind == RINGLET_TEXT && scalar->text.size == strlen(wanted) &&
         memcmp(scalar->text.data, wanted, scalar->text.size) == 0;
}

/* What the command line says, as one edit. An edit is data: Ringlet applies it to what is stored. */
static ringlet_status add_edit(ringlet_edits *edits, const char *verb, const char *what,
                               int64_t amount, ringlet_error **error) {
  ringlet_scalar path[2], value = text(what);
  path[0] = text(strcmp(verb, "coupon") == 0 ? "coupons" : "items");
  path[1] = text(what);
  if (strcmp(verb, "coupon") == 0)
    return ringlet_edits_append(edits, RINGLET_EDIT_ADD, path, 1, &value, 0, error);
  if (strcmp(verb, "remove") == 0)
    return ringlet_edits_append(edits, RINGLET_EDIT_DISCARD, path, 2, NULL, 0, error);
  return ringlet_edits_append(edits, RINGLET_EDIT_INCREMENT, path, 2, NULL, amount, error);
}

/* The fields come in the order of their names, each before what it holds, which is one deeper. */
static void print(const ringlet_document *cart) {
  int in_items = 0, in_coupons = 0;
  size_t i;
  for (i = 0; i < ringlet_document_count(cart); i++) {
    ringlet_item item;
    if (ringlet_document_item(cart, i, &item, sizeof item) != RINGLET_OK) return;
    if (item.depth == 0) {
      in_items = item.type == RINGLET_MAP && is(&item.name, "items");
      in_coupons = item.type == RINGLET_SET && is(&item.name, "coupons");
    } else if (in_items && item.depth == 1 && item.type == RINGLET_COUNTER) {
      printf("%4lld %.*s\n", (long long)item.value.integer, (int)item.name.text.size,
             (const char *)item.name.text.data);
    } else if (in_coupons && item.type == RINGLET_ELEMENT) {
      printf("coupon %.*s\n", (int)item.value.text.size, (const char *)item.value.text.data);
    }
  }
}

/* 0: not a whole number from 1 to a million. */
static int64_t amount_of(const char *from) {
  char *end = NULL;
  long long amount = strtoll(from, &end, 10); /* beyond 64 bits: the greatest, refused below */
  if (end == from || *end != '\0') return 0;
  return amount >= 1 && amount <= 1000000 ? amount : 0;
}

static int usage(const char *why) {
  static const char how[] =
      "usage: cart SEEDS CUSTOMER show | add THING [AMOUNT] | remove THING | coupon CODE";
  fprintf(stderr, "cart: %s\n%s\n", why, how);
  return 2;
}

int main(int argc, char **argv) {
  ringlet_options *options;
  ringlet_client *client = NULL;
  ringlet_edits *edits = NULL;
  ringlet_reply *reply = NULL;
  ringlet_document *cart = NULL;
  ringlet_error *error = NULL;
  ringlet_call call = RINGLET_CALL_INIT;
  ringlet_key key = {{"baskets", 7}, {NULL, 0}};
  const char *verb = argc > 3 ? argv[3] : "";
  int show = strcmp(verb, "show") == 0, adding = strcmp(verb, "add") == 0, failed;
  int64_t amount = 1;

  if (argc < 4) return usage("something is missing");
  if (!show && !adding && strcmp(verb, "remove") != 0 && strcmp(verb, "coupon") != 0)
    return usage("wanted show, add, remove or coupon");
  if (argc != (show ? 4 : adding && argc == 6 ? 6 : 5))
    return usage(
        "show takes no word, add a thing and perhaps an amount, remove and coupon one word");
  if (argc == 6 && (amount = amount_of(argv[5])) == 0)
    return usage("wanted an amount from 1 to 1000000");
  key.key.data = argv[2];
  key.key.size = strlen(argv[2]);
  call.timeout_ms = 5000;

  options = ringlet_options_new(); /* NULL without memory: the next call says so */
  if (ringlet_options_set(options, "client.seeds", argv[1], &error) == RINGLET_OK &&
      ringlet_client_open(options, RINGLET_ABI, &client, &error) == RINGLET_OK) {
    if (show) {
      ringlet_get(client, key, &call, &reply, &error);
    } else if (ringlet_edits_new(&edits, &error) == RINGLET_OK &&
               add_edit(edits, verb, argv[4], amount, &error) == RINGLET_OK) {
      ringlet_edit(client, key, ringlet_edits_bytes(edits), &call, &reply, &error);
    }
  }
  /* All versions together, the edit among them. A key that is missing is an empty document. */
  if (error == NULL && ringlet_document_read(reply, &cart, &error) == RINGLET_OK) print(cart);
  failed = error != NULL;
  if (failed) {
    fprintf(stderr, "cart: %s%s\n", ringlet_error_message(error),
            ringlet_error_maybe_applied(error) ? " (the change may have been made)" : "");
  }
  ringlet_document_release(cart);
  ringlet_reply_release(reply);
  ringlet_edits_release(edits);
  ringlet_client_release(client);
  ringlet_options_release(options);
  ringlet_error_release(error);
  return failed;
}
