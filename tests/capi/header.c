/* The header alone, in every language it promises to be; CMakeLists.txt compiles this as each. */
#include <ringlet/ringlet.h>
#include <ringlet/ringlet.h> /* twice is once */

ringlet_status use(ringlet_client *client, ringlet_reply **reply);
ringlet_status use(ringlet_client *client, ringlet_reply **reply) {
  ringlet_call call = RINGLET_CALL_INIT;
  ringlet_key key = {{"b", 1}, {"k", 1}};
  call.flags = RINGLET_RETURN_SIBLINGS;
  return ringlet_get(client, key, &call, reply, NULL);
}
