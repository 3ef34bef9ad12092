// The handwritten part of the JNI library: arrays, exceptions, the draining of a queue, and values
// as direct buffers. Everything else is generated from facade.hpp.
#include "jni_support.hpp"

#include <algorithm>
#include <array>

namespace ringlet_java {
namespace {

constexpr jsize kFieldsOfEvent = 7;
constexpr size_t kEventsOfBatch = 64;

// NativeBatch.drain: waits for events and writes as many as fit, seven numbers each (kind, status,
// tag, request, reply, error, merge), crossing to Java once a batch. Their handles are Java's then.
jint JNICALL drain(JNIEnv* env, jclass, jlong queue, jlongArray out, jint timeout_ms) {
  if (!out) {
    throw_java(env, "java/lang/NullPointerException", "out");
    return 0;
  }
  const size_t room = std::min<size_t>(
      kEventsOfBatch, static_cast<size_t>(env->GetArrayLength(out) / kFieldsOfEvent));
  std::array<ringlet_event, kEventsOfBatch> events = {};
  size_t count = 0;
  const ringlet_status status = ringlet_drain(from<ringlet_queue>(queue), events.data(),
                                              sizeof(ringlet_event), room, timeout_ms, &count);
  if (status != RINGLET_OK) {
    throw_java(env, Failed{status, nullptr});
    return 0;
  }
  if (count == 0) return 0;
  std::array<jlong, kEventsOfBatch * kFieldsOfEvent> numbers;
  jlong* next = numbers.data();
  for (size_t i = 0; i < count; i++) {
    const ringlet_event& event = events[i];
    for (const jlong number :
         {static_cast<jlong>(event.kind), static_cast<jlong>(event.status),
          static_cast<jlong>(event.tag), static_cast<jlong>(event.request),
          static_cast<jlong>(to(event.reply)), static_cast<jlong>(to(event.error)),
          static_cast<jlong>(to(event.merge))}) {
      *next++ = number;
    }
  }
  env->SetLongArrayRegion(out, 0, static_cast<jsize>(count) * kFieldsOfEvent, numbers.data());
  return env->ExceptionCheck() ? 0 : static_cast<jint>(count);
}

// NativeBatch.value: the reply's own memory, or null if the value is empty. Dead with the reply.
jobject JNICALL value(JNIEnv* env, jclass, jlong reply, jint index) {
  const ringlet_bytes bytes =
      ringlet_reply_value(from<ringlet_reply>(reply), static_cast<size_t>(index));
  if (bytes.size == 0) return nullptr;
  return env->NewDirectByteBuffer(const_cast<void*>(bytes.data), static_cast<jlong>(bytes.size));
}

bool register_natives(JNIEnv* env) {
  const jclass batch = env->FindClass("io/ringlet/internal/NativeBatch");
  if (!batch) return false;
  JNINativeMethod methods[] = {
      {const_cast<char*>("drain"), const_cast<char*>("(J[JI)I"), reinterpret_cast<void*>(&drain)},
      {const_cast<char*>("value"), const_cast<char*>("(JI)Ljava/nio/ByteBuffer;"),
       reinterpret_cast<void*>(&value)},
  };
  const jint registered = env->RegisterNatives(batch, methods, 2);
  env->DeleteLocalRef(batch);
  return registered == JNI_OK;
}

}  // namespace

bool ArrayCopy::load(JNIEnv* env, jbyteArray array, const char* name) {
  if (!array) {
    throw_java(env, "java/lang/NullPointerException", name);
    return false;
  }
  const jsize length = env->GetArrayLength(array);
  size_ = static_cast<size_t>(length);
  char* copy = frame_;
  if (size_ > kInFrame) {
    heap_.reset(new (std::nothrow) char[size_ + 1]);
    copy = heap_.get();
    if (!copy) {
      throw_java(env, "java/lang/OutOfMemoryError", "copy of a byte[]");
      return false;
    }
  }
  env->GetByteArrayRegion(array, 0, length, reinterpret_cast<jbyte*>(copy));
  if (env->ExceptionCheck()) return false;
  copy[size_] = '\0';
  data_ = copy;
  return true;
}

jbyteArray to_array(JNIEnv* env, const std::string& bytes) {
  const auto size = static_cast<jsize>(bytes.size());
  const jbyteArray array = env->NewByteArray(size);
  if (!array) return nullptr;
  env->SetByteArrayRegion(array, 0, size, reinterpret_cast<const jbyte*>(bytes.data()));
  return env->ExceptionCheck() ? nullptr : array;
}

void throw_java(JNIEnv* env, const Failed& failed) {
  // Several calls of the C API fail with a status alone.
  const std::string message =
      failed.error ? ringlet_error_message(failed.error) : ringlet_status_name(failed.status);
  const std::string details =
      failed.error ? take(ringlet_error_details(failed.error)) : std::string("{}");
  const bool retryable = failed.error && ringlet_error_retryable(failed.error);
  const bool maybe_applied = failed.error && ringlet_error_maybe_applied(failed.error);
  ringlet_error_release(failed.error);
  const jbyteArray message_array = to_array(env, message);
  if (!message_array) return;
  const jbyteArray details_array = to_array(env, details);
  if (!details_array) return;
  // Found by the class loader of the native method that failed. Kept in no variable: a global reference would keep
  // that loader for ever, and several loaders share this library's variables.
  const jclass type = env->FindClass("io/ringlet/internal/NativeFailure");
  if (!type) return;
  const jmethodID constructor = env->GetMethodID(type, "<init>", "(IZZ[B[B)V");
  if (!constructor) return;
  const jobject failure = env->NewObject(
      type, constructor, static_cast<jint>(failed.status), static_cast<jboolean>(retryable),
      static_cast<jboolean>(maybe_applied), message_array, details_array);
  if (!failure || env->ExceptionCheck()) return;
  env->Throw(static_cast<jthrowable>(failure));
}

void throw_java(JNIEnv* env, const char* class_name, const char* message) {
  const jclass type = env->FindClass(class_name);
  if (type) env->ThrowNew(type, message);
}

}  // namespace ringlet_java

// There is no JNI_OnUnload: nothing here holds what belongs to a class loader. The code stays mapped (nodelete), once
// for all loaders, as they load links to one file.
extern "C" JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
  void* env = nullptr;
  if (vm->GetEnv(&env, JNI_VERSION_1_8) != JNI_OK) return JNI_ERR;
  return ringlet_java::register_natives(static_cast<JNIEnv*>(env)) ? JNI_VERSION_1_8 : JNI_ERR;
}
