/* Calls every function of ringlet.h once, from C, the way a program would. Exit code 0: all did what
   they promise. exports.sh checks that none is forgotten here. */
#include <ringlet/ringlet.h>
#include <stdio.h>
#include <string.h>

static int wrong = 0;
#define EXPECT(x) ((x) ? (void)0 : (void)(wrong++, fprintf(stderr, "line %d: %s\n", __LINE__, #x)))

static int answer_x(void *user_data, ringlet_merge *merge) {
  ringlet_bytes x = {"x", 1};
  EXPECT(user_data != NULL);
  EXPECT(ringlet_reply_count(ringlet_merge_siblings(merge)) <= 2);
  EXPECT(ringlet_merge_attempt(merge) >= 1);
  EXPECT(ringlet_merge_written(merge) == (ringlet_merge_attempt(merge) > 1));
  return ringlet_merge_answer(merge, x) != RINGLET_OK;
}
static int erase(void *user_data, ringlet_merge *merge) {
  (void)user_data;
  return ringlet_merge_erase(merge) != RINGLET_OK;
}
static int keep(void *user_data, ringlet_merge *merge) {
  (void)user_data;
  return ringlet_merge_keep(merge) != RINGLET_OK;
}
static int fail(void *user_data, ringlet_merge *merge) {
  (void)user_data;
  return ringlet_merge_fail(merge, "on purpose") != RINGLET_OK;
}
static void log_record(void *user_data, int level, const char *part, const char *text) {
  (void)user_data;
  EXPECT(level >= 0 && part != NULL && text != NULL);
}

int main(void) {
  ringlet_error *error = NULL;
  ringlet_options *options = ringlet_options_new();
  ringlet_lab *lab = NULL, *other = NULL;
  ringlet_cluster *cluster = NULL;
  ringlet_client *client = NULL;
  ringlet_node *node = NULL;
  ringlet_queue *queue = NULL;
  ringlet_reply *reply = NULL;
  ringlet_text *text;
  ringlet_call call = RINGLET_CALL_INIT;
  ringlet_key key = {{"b", 1}, {"k", 1}}, document_key = {{"b", 1}, {"d", 1}};
  ringlet_edits *edits = NULL;
  ringlet_document *document = NULL;
  ringlet_scalar name;
  ringlet_item item;
  ringlet_taken taken;
  ringlet_bytes none = {NULL, 0}, value = {"v", 1};
  ringlet_resolver resolver = {answer_x, NULL, &call};
  ringlet_op op;
  ringlet_event event;
  uint64_t request = 0;
  size_t count = 0;
  int order = 9;

  EXPECT(ringlet_abi_version() == RINGLET_ABI);
  EXPECT(ringlet_version()[0] != '\0');
  EXPECT(ringlet_has("client") == 1);
  EXPECT(strcmp(ringlet_status_name(RINGLET_TIMEOUT), "TIMEOUT") == 0);

  EXPECT(ringlet_options_set(options, "no.such", "1", &error) == RINGLET_UNKNOWN_OPTION);
  EXPECT(ringlet_error_status(error) == RINGLET_UNKNOWN_OPTION);
  EXPECT(strlen(ringlet_error_message(error)) > 10);
  EXPECT(ringlet_error_retryable(error) == 0);
  EXPECT(ringlet_error_maybe_applied(error) == 0);
  text = ringlet_error_details(error);
  EXPECT(ringlet_text_bytes(text).size > 2);
  ringlet_text_release(text);
  ringlet_error_release(error);
  text = ringlet_options_describe();
  EXPECT(ringlet_text_bytes(text).size > 100);
  ringlet_text_release(text);

  EXPECT(ringlet_options_set(options, "options.shared", "true", &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_start(options, 3, RINGLET_ABI, &cluster, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_size(cluster) == 3);
  EXPECT(ringlet_options_set(options, "client.seeds", ringlet_cluster_seeds(cluster), &error) ==
         RINGLET_OK);
  EXPECT(ringlet_client_open(options, RINGLET_ABI, &client, &error) == RINGLET_OK);
  ringlet_client_retain(client);
  ringlet_client_release(client);

  call.timeout_ms = 5000;
  EXPECT(ringlet_put(client, key, none, value, &call, NULL, &error) == RINGLET_OK);
  EXPECT(ringlet_get(client, key, &call, &reply, &error) == RINGLET_OK);
  EXPECT(ringlet_reply_count(reply) == 1);
  EXPECT(ringlet_reply_value(reply, 0).size == 1);
  EXPECT(ringlet_reply_content_type(reply, 0).size == 0);
  EXPECT(ringlet_reply_dot(reply, 0).size == 24);
  EXPECT(ringlet_reply_written_ms(reply, 0) > 0);
  EXPECT(ringlet_reply_is_tombstone(reply, 0) == 0);
  EXPECT(ringlet_reply_merged(reply) == 1);
  EXPECT(ringlet_reply_left_out(reply) == 0);
  EXPECT(ringlet_context_compare(none, ringlet_reply_context(reply), &order) == RINGLET_OK &&
         order == -1);
  EXPECT(ringlet_context_describe(&key, ringlet_reply_context(reply), &text, &error) == RINGLET_OK);
  EXPECT(ringlet_text_bytes(text).size > 2);
  ringlet_text_release(text);
  text = ringlet_reply_explain(reply);
  EXPECT(ringlet_text_bytes(text).size > 2);
  ringlet_text_release(text);
  EXPECT(ringlet_delete(client, key, ringlet_reply_context(reply), &call, NULL, &error) ==
         RINGLET_OK);
  ringlet_reply_retain(reply);
  ringlet_reply_release(reply);
  ringlet_reply_release(reply);
  EXPECT(ringlet_multi_get(client, &key, 1, &call, &reply, NULL) == RINGLET_OK);
  ringlet_reply_release(reply);

  EXPECT(ringlet_update(client, key, &resolver, &call, NULL, &error) == RINGLET_OK);
  resolver.resolve = keep;
  EXPECT(ringlet_update(client, key, &resolver, &call, NULL, &error) == RINGLET_OK);
  resolver.resolve = erase;
  EXPECT(ringlet_update(client, key, &resolver, &call, NULL, &error) == RINGLET_OK);
  resolver.resolve = fail;
  EXPECT(ringlet_update(client, key, &resolver, &call, NULL, NULL) == RINGLET_MERGE_FAILED);

  memset(&name, 0, sizeof name);
  name.text.data = "set";
  name.text.size = 3;
  EXPECT(ringlet_edits_new(&edits, &error) == RINGLET_OK);
  EXPECT(ringlet_edits_append(edits, RINGLET_EDIT_ADD, &name, 1, &name, 0, &error) == RINGLET_OK);
  EXPECT(ringlet_edits_append(edits, RINGLET_EDIT_ADD, &name, 0, &name, 0, NULL) ==
         RINGLET_INVALID_ARGUMENT);
  EXPECT(ringlet_edits_count(edits) == 1);
  EXPECT(ringlet_edit(client, document_key, ringlet_edits_bytes(edits), &call, &reply, &error) ==
         RINGLET_OK);
  EXPECT(ringlet_document_read(reply, &document, &error) == RINGLET_OK);
  EXPECT(ringlet_document_count(document) == 2);
  EXPECT(ringlet_document_item(document, 1, &item, sizeof item) == RINGLET_OK);
  EXPECT(item.type == RINGLET_ELEMENT && item.value.text.size == 3);
  ringlet_document_release(document);
  EXPECT(ringlet_document_take_over(reply, NULL, 0, ringlet_edits_bytes(edits), &text, &error) ==
         RINGLET_OK);
  ringlet_text_release(text);
  taken.sibling = 0;
  taken.edits = ringlet_edits_bytes(edits);
  EXPECT(ringlet_document_take_over(reply, &taken, 1, taken.edits, &text, NULL) ==
         RINGLET_INVALID_ARGUMENT); /* it is a document */
  EXPECT(ringlet_document_write(reply, ringlet_edits_bytes(edits), 0, &text, &error) == RINGLET_OK);
  EXPECT(ringlet_text_bytes(text).size > 2);
  EXPECT(ringlet_document_parse(ringlet_text_bytes(text), &document, &error) == RINGLET_OK);
  EXPECT(ringlet_document_count(document) == 2);
  ringlet_document_release(document);
  ringlet_text_release(text);
  ringlet_reply_release(reply);
  ringlet_edits_release(edits);

  EXPECT(ringlet_queue_new(&queue, &error) == RINGLET_OK);
  EXPECT(ringlet_queue_fd(queue) >= 0);
  ringlet_queue_wake(queue);
  EXPECT(ringlet_drain(queue, &event, sizeof event, 1, 5000, &count) == RINGLET_OK && count == 0);
  memset(&op, 0, sizeof op);
  op.kind = RINGLET_UPDATE;
  op.key = key;
  op.call = &call;
  EXPECT(ringlet_submit(client, queue, &op, sizeof op, 1, &request, &error) == RINGLET_OK);
  EXPECT(ringlet_drain(queue, &event, sizeof event, 1, 5000, &count) == RINGLET_OK && count == 1);
  EXPECT(event.kind == RINGLET_MERGE);
  ringlet_cancel(queue, request);
  ringlet_merge_release(event.merge);
  event.merge = NULL;
  ringlet_event_clear(&event);
  EXPECT(ringlet_drain(queue, &event, sizeof event, 1, 5000, &count) == RINGLET_OK && count == 1);
  EXPECT(event.status == RINGLET_CANCELLED);
  ringlet_event_clear(&event);
  ringlet_queue_release(queue);

  text = NULL;
  EXPECT(ringlet_admin(client, "ring", NULL, &call, &text, &error) == RINGLET_OK);
  ringlet_text_release(text);
  ringlet_text_release(ringlet_client_log_next(client));
  text = ringlet_client_counters(client);
  EXPECT(strstr((const char *)ringlet_text_bytes(text).data, "\"versions_per_get\":[") != NULL);
  ringlet_text_release(text);
  ringlet_client_log_drain(client, log_record, NULL);
  ringlet_cluster_log_drain(cluster, log_record, NULL);
  EXPECT(ringlet_client_close(client, 1000) == RINGLET_OK);
  ringlet_client_release(client);

  EXPECT(ringlet_cluster_kill(cluster, 0, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_restart(cluster, 0, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_pause(cluster, 0, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_resume(cluster, 0, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_cut(cluster, 0, 1, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_mend(cluster, 0, 1, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_heal(cluster, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_skew(cluster, 0, 0, &error) == RINGLET_OK);
  EXPECT(ringlet_cluster_stop(cluster, 100, &error) == RINGLET_OK);
  ringlet_cluster_release(cluster);

  EXPECT(ringlet_lab_new("{\"nodes\": 3}", RINGLET_ABI, &lab, &error) == RINGLET_OK);
  EXPECT(ringlet_lab_client(lab, "alice", NULL, &client, &error) == RINGLET_OK);
  EXPECT(ringlet_put(client, key, none, value, NULL, NULL, &error) == RINGLET_OK);
  ringlet_client_release(client);
  EXPECT(ringlet_lab_act(lab, "{\"act\": \"heal\"}", &error) == RINGLET_OK);
  EXPECT(ringlet_lab_step(lab, 1, &request, &error) == RINGLET_OK && request == 1);
  EXPECT(ringlet_lab_run(lab, 1000, &error) == RINGLET_OK);
  EXPECT(ringlet_lab_now_us(lab) > 1000 && ringlet_lab_events(lab) > 1 &&
         ringlet_lab_hash(lab) != 0);
  EXPECT(ringlet_lab_settle(lab, 1000000, NULL, &error) == RINGLET_OK);
  EXPECT(ringlet_lab_ask(lab, "status", NULL, &text, &error) == RINGLET_OK);
  ringlet_text_release(text);
  EXPECT(ringlet_lab_fork(lab, NULL, &other, &error) == RINGLET_OK);
  ringlet_lab_release(other);
  EXPECT(ringlet_lab_rewind(lab, 1, &error) == RINGLET_OK && ringlet_lab_events(lab) == 1);
  ringlet_lab_release(lab);

  EXPECT(ringlet_node_start(options, RINGLET_ABI, &node, &error) == RINGLET_OK);
  EXPECT(ringlet_node_address(node) != NULL);
  ringlet_text_release(ringlet_node_log_next(node));
  EXPECT(ringlet_node_stop(node, 100, &error) == RINGLET_OK);
  ringlet_node_release(node);
  ringlet_options_release(options);
  if (error != NULL) fprintf(stderr, "%s\n", ringlet_error_message(error));
  return wrong != 0;
}
