// What the generated and the handwritten JNI code share: copies of Java arrays, and how a failure
// becomes a Java exception. Functions named throw_java leave an exception pending; the caller
// returns to Java at once.
#ifndef RINGLET_BINDINGS_JAVA_JNI_SUPPORT_HPP
#define RINGLET_BINDINGS_JAVA_JNI_SUPPORT_HPP

#include <jni.h>

#include <memory>

#include "facade.hpp"

namespace ringlet_java {

// A copy of a byte[] with a NUL behind it. Copied, never pinned: a critical array may block the
// collector, and forbids the calls that follow. Up to 8 KiB stay on the stack.
class ArrayCopy {
 public:
  // False: an exception is pending.
  bool load(JNIEnv* env, jbyteArray array, const char* name);
  ringlet_bytes bytes() const { return {data_, size_}; }

 private:
  static constexpr size_t kInFrame = 8192;

  char frame_[kInFrame + 1];
  std::unique_ptr<char[]> heap_;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// NULL: an exception is pending.
jbyteArray to_array(JNIEnv* env, const std::string& bytes);

// io.ringlet.internal.NativeFailure, with all that the error says; releases the error.
void throw_java(JNIEnv* env, const Failed& failed);
void throw_java(JNIEnv* env, const char* class_name, const char* message);

}  // namespace ringlet_java

#endif  // RINGLET_BINDINGS_JAVA_JNI_SUPPORT_HPP
