/* exit_in_flight MODE: ends with 1000 requests in flight, by "exit", "_exit", "return" or "quick_exit";
   its status must be the 7 it wanted, and it must not take more than the alarm. */
#define _GNU_SOURCE
#include <ringlet/ringlet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  ringlet_options *options = ringlet_options_new();
  ringlet_cluster *cluster = NULL;
  ringlet_client *client = NULL;
  ringlet_queue *queue = NULL;
  ringlet_op op;
  int i;
  const char *mode = argc > 1 ? argv[1] : "";

  alarm(10);
  if (ringlet_cluster_start(options, 3, RINGLET_ABI, &cluster, NULL) != RINGLET_OK ||
      ringlet_options_set(options, "client.seeds", ringlet_cluster_seeds(cluster), NULL) !=
          RINGLET_OK ||
      ringlet_client_open(options, RINGLET_ABI, &client, NULL) != RINGLET_OK ||
      ringlet_queue_new(&queue, NULL) != RINGLET_OK) {
    return 1;
  }
  memset(&op, 0, sizeof op);
  op.kind = RINGLET_PUT;
  op.key.bucket.data = op.key.key.data = op.value.data = "exit";
  op.key.bucket.size = op.key.key.size = op.value.size = 4;
  for (i = 0; i < 1000; i++) {
    if (ringlet_submit(client, queue, &op, sizeof op, 1, NULL, NULL) != RINGLET_OK) return 2;
  }
  if (strcmp(mode, "exit") == 0) exit(7);
  if (strcmp(mode, "_exit") == 0) _exit(7);
  if (strcmp(mode, "quick_exit") == 0) quick_exit(7);
  return strcmp(mode, "return") == 0 ? 7 : 3;
}
