// The merge questions, and the blocking update, which is a loop that answers them with a function.
#include "request.hpp"

using namespace ringlet;
using namespace ringlet::capi;

ringlet_merge::~ringlet_merge() {
  ringlet_reply_release(siblings);
}

namespace {

ringlet_status end_merge(ringlet_merge* merge, const Status& argument,
                         MergeAnswer answer) noexcept {
  return guarded(nullptr, [&]() -> Failure {
    if (merge == nullptr) return missing("merge");
    if (!argument.is_ok()) return argument;
    if (Status s = merge->request->still_asked(merge->attempt); !s) return s;
    if (merge->ended.exchange(true)) return Status(Code::busy, "this merge has its answer already");
    if (merge->inside_resolver) {
      merge->held = std::move(answer);
      return {};
    }
    try {
      return merge->request->answer(merge->attempt, std::move(answer));
    } catch (...) {
      merge->request->no_memory();  // the request still has its DONE
      throw;
    }
  });
}

MergeAnswer failed(std::string why) {
  return MergeAnswer{MergeAnswer::Kind::fail, {}, std::move(why)};
}

// What the user's function made of it: its answer if it kept the rules, else why not.
MergeAnswer ask(const ringlet_resolver& resolver, ringlet_merge* merge, const ClientState* client) {
  int returned = 0;
  merge->inside_resolver = true;
  try {
    Resolving marker(client);
    returned = resolver.resolve(resolver.user_data, merge);
  } catch (const std::exception& e) {
    return failed(std::string("the resolver threw: ") + e.what());
  } catch (...) {
    return failed("the resolver threw");
  }
  if (returned != 0) {
    std::string why = "the resolver returned " + std::to_string(returned) + ", 0 was wanted";
    if (!merge->held.reason.empty()) why += ": " + merge->held.reason;
    return failed(std::move(why));
  }
  if (!merge->ended)
    return failed(
        "the resolver returned without an answer; end the merge with ringlet_merge_answer, _erase, "
        "_keep or _fail");
  return std::move(merge->held);
}

// Destroys what the resolver carries, once, however the update ends.
struct DestroyLast {
  const ringlet_resolver* resolver;
  ~DestroyLast() {
    if (resolver == nullptr || resolver->destroy == nullptr) return;
    try {
      resolver->destroy(resolver->user_data);
    } catch (...) {
      // The update has its result; there is nobody to tell.
    }
  }
};

// However a blocking update is left, nothing of it stays: its request ends and its events go. The
// two hold each other until then.
struct EndRequest {
  const std::shared_ptr<Request>& request;
  Completion& completion;
  ~EndRequest() {
    try {
      request->no_memory();  // no effect on one that has ended
      completion.close();
    } catch (...) {
      // No memory: its client, when it closes, ends what is left.
    }
  }
};

}  // namespace

const ringlet_reply* ringlet_merge_siblings(const ringlet_merge* merge) {
  return merge == nullptr ? nullptr : merge->siblings;
}

uint32_t ringlet_merge_attempt(const ringlet_merge* merge) {
  return merge == nullptr ? 0 : merge->attempt;
}

int ringlet_merge_written(const ringlet_merge* merge) {
  return merge != nullptr && merge->written;
}

ringlet_status ringlet_merge_answer(ringlet_merge* merge, ringlet_bytes value) {
  return guarded(nullptr, [&]() -> Failure {
    if (Status s = check_bytes("value", value, max_value_bytes()); !s) return s;
    MergeAnswer answer{MergeAnswer::Kind::value, Bytes(view(value)), {}};
    return Status(static_cast<Code>(end_merge(merge, Status::ok(), std::move(answer))), {});
  });
}

ringlet_status ringlet_merge_erase(ringlet_merge* merge) {
  return end_merge(merge, Status::ok(), MergeAnswer{MergeAnswer::Kind::erase, {}, {}});
}

ringlet_status ringlet_merge_keep(ringlet_merge* merge) {
  return end_merge(merge, Status::ok(), MergeAnswer{MergeAnswer::Kind::keep, {}, {}});
}

ringlet_status ringlet_merge_fail(ringlet_merge* merge, const char* message) {
  return guarded(nullptr, [&]() -> Failure {
    if (Status s = check_text("message", message, 65536); !s) return s;
    return Status(static_cast<Code>(end_merge(merge, Status::ok(), failed(message))), {});
  });
}

void ringlet_merge_release(ringlet_merge* merge) {
  if (merge == nullptr || merge->inside_resolver) return;
  if (!merge->ended.exchange(true)) {
    guarded(nullptr, [&]() -> Failure {
      return merge->request->answer(merge->attempt,
                                    failed("the merge was released without an answer"));
    });
  }
  delete merge;
}

ringlet_status ringlet_update(ringlet_client* client, ringlet_key key,
                              const ringlet_resolver* resolver, const ringlet_call* call,
                              ringlet_reply** reply, ringlet_error** error) {
  if (reply != nullptr) *reply = nullptr;
  if (error != nullptr) *error = nullptr;
  DestroyLast destroy{resolver};
  // The resolver may release the last handle: the client lives until its update has ended.
  struct Keep {
    ringlet_client* client;
    explicit Keep(ringlet_client* c) : client(c) { ringlet_client_retain(c); }
    ~Keep() { ringlet_client_release(client); }
  };
  return guarded(error, [&]() -> Failure {
    if (Status s = check_client(client); !s) return s;
    if (resolver == nullptr) return missing("resolver");
    if (resolver->resolve == nullptr) return missing("resolver.resolve");
    Showing show;
    Result<Client::Request> wanted = read_write(RINGLET_UPDATE, key, {}, {}, call, &show);
    if (!wanted) return wanted.status();
    Key name = wanted->key;
    Keep keep(client);
    Result<std::shared_ptr<Completion>> completion = Completion::make(false);
    if (!completion) return completion.status();
    if (Status s = (*completion)->bind(state_of(client)->client->advance()); !s) return s;
    auto request = std::make_shared<Request>(state_of(client), *completion, RINGLET_UPDATE, 0,
                                             std::move(*wanted), show);
    std::vector<ringlet_event> events;
    events.reserve(1);
    request->set_number((*completion)->add(request));
    EndRequest at_the_end{request, **completion};
    try {
      request->start();
      while (true) {
        Result<std::size_t> drained =
            (*completion)
                ->drain(events, 1, std::chrono::duration_cast<Wait>(std::chrono::hours(2)));
        if (!drained) return drained.status();
        if (*drained == 0 && (*completion)->stands_still()) {
          return Status(Code::busy, "update of " + printable(name) +
                                        ": its client is paused, so no answer can come");
        }
        if (*drained == 0) continue;
        ringlet_event& event = events[0];
        if (event.kind == RINGLET_DONE) break;
        ringlet_merge* merge = event.merge;
        struct Release {
          ringlet_merge* merge;
          ~Release() {
            merge->ended = true;
            merge->inside_resolver = false;
            ringlet_merge_release(merge);
          }
        } release{merge};
        MergeAnswer answer = ask(*resolver, merge, state_of(client).get());
        // Over already (deadline, close): then DONE says so, whatever the answer was.
        (void)request->answer(merge->attempt, std::move(answer));
      }
    } catch (const std::bad_alloc&) {
      return Status(Code::no_memory, {}, true);  // one of its writes may have gone out
    }
    ringlet_event& done = events[0];
    if (reply != nullptr) {
      *reply = done.reply;
    } else {
      ringlet_reply_release(done.reply);
    }
    if (done.status == RINGLET_OK) return {};
    // The error object of the event is the caller's: guarded() would make another one.
    Status status(static_cast<Code>(done.status), ringlet_error_message(done.error),
                  ringlet_error_maybe_applied(done.error) != 0);
    ringlet_text* details = ringlet_error_details(done.error);
    Failure failure{std::move(status), details == nullptr ? std::string() : details->text};
    ringlet_text_release(details);
    ringlet_error_release(done.error);
    return failure;
  });
}
