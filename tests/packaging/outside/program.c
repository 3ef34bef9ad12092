/* A program outside of the source tree, in C99: it writes to a cluster of its own and reads what it wrote. */
#include <ringlet/ringlet.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, const ringlet_error *error) {
  fprintf(stderr, "%s: %s\n", what, ringlet_error_message(error));
  return 1;
}

int main(void) {
  ringlet_cluster *cluster = NULL;
  ringlet_client *client = NULL;
  ringlet_reply *reply = NULL;
  ringlet_error *error = NULL;
  ringlet_options *options = ringlet_options_new();
  const ringlet_key key = {{"carts", 5}, {"alice", 5}};
  const ringlet_bytes none = {NULL, 0}, tea = {"tea", 3};
  ringlet_bytes value;

  if (ringlet_cluster_start(NULL, 3, RINGLET_ABI, &cluster, &error)) return fail("start", error);
  if (ringlet_options_set(options, "client.seeds", ringlet_cluster_seeds(cluster), &error))
    return fail("options", error);
  if (ringlet_client_open(options, RINGLET_ABI, &client, &error)) return fail("open", error);
  if (ringlet_put(client, key, none, tea, NULL, NULL, &error)) return fail("put", error);
  if (ringlet_get(client, key, NULL, &reply, &error)) return fail("get", error);
  value = ringlet_reply_value(reply, 0);
  printf("%s: %.*s\n", ringlet_version(), (int)value.size, (const char *)value.data);
  ringlet_reply_release(reply);
  ringlet_client_release(client);
  ringlet_cluster_release(cluster);
  ringlet_options_release(options);
  return 0;
}
