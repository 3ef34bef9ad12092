/* Prints what a program compiled against ringlet.h relies on: sizes, offsets and types of its structs,
   and its constants. layout.sh compares that with layout.txt, the layout of ABI 1. */
#include <ringlet/ringlet.h>
#include <stdio.h>

#define SIZE(type) printf("size %s %zu\n", #type, sizeof(type))
#define FIELD(type, field)                                                        \
  printf("field %s.%s at %zu, %zu bytes\n", #type, #field, offsetof(type, field), \
         sizeof(((type *)0)->field))
#define VALUE(name) printf("value %s %llu\n", #name, (unsigned long long)(name))

int main(void) {
  SIZE(ringlet_status);
  SIZE(ringlet_bytes);
  FIELD(ringlet_bytes, data);
  FIELD(ringlet_bytes, size);
  SIZE(ringlet_key);
  FIELD(ringlet_key, bucket);
  FIELD(ringlet_key, key);
  SIZE(ringlet_call);
  FIELD(ringlet_call, struct_size);
  FIELD(ringlet_call, timeout_ms);
  FIELD(ringlet_call, r);
  FIELD(ringlet_call, w);
  FIELD(ringlet_call, strict);
  FIELD(ringlet_call, durability);
  FIELD(ringlet_call, flags);
  FIELD(ringlet_call, write_id);
  FIELD(ringlet_call, content_type);
  FIELD(ringlet_call, traceparent);
  SIZE(ringlet_resolver);
  FIELD(ringlet_resolver, resolve);
  FIELD(ringlet_resolver, destroy);
  FIELD(ringlet_resolver, user_data);
  SIZE(ringlet_op);
  FIELD(ringlet_op, kind);
  FIELD(ringlet_op, reserved);
  FIELD(ringlet_op, tag);
  FIELD(ringlet_op, key);
  FIELD(ringlet_op, context);
  FIELD(ringlet_op, value);
  FIELD(ringlet_op, call);
  SIZE(ringlet_event);
  FIELD(ringlet_event, kind);
  FIELD(ringlet_event, status);
  FIELD(ringlet_event, tag);
  FIELD(ringlet_event, request);
  FIELD(ringlet_event, reply);
  FIELD(ringlet_event, error);
  FIELD(ringlet_event, merge);
  SIZE(ringlet_scalar);
  FIELD(ringlet_scalar, kind);
  FIELD(ringlet_scalar, reserved);
  FIELD(ringlet_scalar, integer);
  FIELD(ringlet_scalar, real);
  FIELD(ringlet_scalar, text);
  SIZE(ringlet_taken);
  FIELD(ringlet_taken, sibling);
  FIELD(ringlet_taken, edits);
  SIZE(ringlet_item);
  FIELD(ringlet_item, depth);
  FIELD(ringlet_item, type);
  FIELD(ringlet_item, name);
  FIELD(ringlet_item, value);
  VALUE(RINGLET_ABI_MAJOR);
  VALUE(RINGLET_OK);
  VALUE(RINGLET_INVALID_ARGUMENT);
  VALUE(RINGLET_INVALID_CONTEXT);
  VALUE(RINGLET_TOO_LARGE);
  VALUE(RINGLET_UNKNOWN_OPTION);
  VALUE(RINGLET_BUSY);
  VALUE(RINGLET_CLOSED);
  VALUE(RINGLET_FORKED);
  VALUE(RINGLET_ABI_MISMATCH);
  VALUE(RINGLET_UNSUPPORTED);
  VALUE(RINGLET_TIMEOUT);
  VALUE(RINGLET_UNAVAILABLE);
  VALUE(RINGLET_QUORUM_NOT_MET);
  VALUE(RINGLET_OVERLOADED);
  VALUE(RINGLET_CANCELLED);
  VALUE(RINGLET_TOO_MANY_SIBLINGS);
  VALUE(RINGLET_CORRUPT);
  VALUE(RINGLET_MERGE_FAILED);
  VALUE(RINGLET_UPDATE_EXHAUSTED);
  VALUE(RINGLET_INTERNAL);
  VALUE(RINGLET_NO_MEMORY);
  VALUE(RINGLET_IO);
  VALUE(RINGLET_RETURN_SIBLINGS);
  VALUE(RINGLET_GET);
  VALUE(RINGLET_PUT);
  VALUE(RINGLET_DELETE);
  VALUE(RINGLET_UPDATE);
  VALUE(RINGLET_DONE);
  VALUE(RINGLET_MERGE);
  VALUE(RINGLET_TEXT);
  VALUE(RINGLET_BYTES);
  VALUE(RINGLET_INTEGER);
  VALUE(RINGLET_BOOLEAN);
  VALUE(RINGLET_NOTHING);
  VALUE(RINGLET_REAL);
  VALUE(RINGLET_EDIT_ADD);
  VALUE(RINGLET_EDIT_REMOVE);
  VALUE(RINGLET_EDIT_SET);
  VALUE(RINGLET_EDIT_SET_ALL);
  VALUE(RINGLET_EDIT_ENABLE);
  VALUE(RINGLET_EDIT_DISABLE);
  VALUE(RINGLET_EDIT_DISCARD);
  VALUE(RINGLET_EDIT_CLEAR);
  VALUE(RINGLET_MAP);
  VALUE(RINGLET_SET);
  VALUE(RINGLET_COUNTER);
  VALUE(RINGLET_FLAG);
  VALUE(RINGLET_REGISTER);
  VALUE(RINGLET_REGISTER_ALL);
  VALUE(RINGLET_ELEMENT);
  VALUE(RINGLET_EDIT);
  VALUE(RINGLET_EDIT_INCREMENT);
  VALUE(RINGLET_EDIT_ERASE);
  return 0;
}
