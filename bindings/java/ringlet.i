// SWIG's view of facade.hpp: everything ignored, then the functions named that Java gets, as static
// methods of io.ringlet.internal.RingletNative (a package that the module does not export).
%module RingletNative

%{
#include "facade.hpp"
#include "jni_support.hpp"
%}

%pragma(java) moduleclassmodifiers="public final class"
%pragma(java) modulecode=%{
  private RingletNative() {}
%}

// No generated class holds a pointer, and none may ever have a finalizer.
%typemap(javafinalize) SWIGTYPE ""

// Bytes and text in: a copy of a byte[].
%typemap(jni) ringlet_bytes "jbyteArray"
%typemap(jtype) ringlet_bytes "byte[]"
%typemap(jstype) ringlet_bytes "byte[]"
%typemap(javain) ringlet_bytes "$javainput"
%typemap(in) ringlet_bytes (ringlet_java::ArrayCopy copy) {
  if (!copy.load(jenv, $input, "$1_name")) return $null;
  $1 = copy.bytes();
}

// Bytes and text out: a new byte[]. JNI's own strings are modified UTF-8.
%typemap(jni) std::string "jbyteArray"
%typemap(jtype) std::string "byte[]"
%typemap(jstype) std::string "byte[]"
%typemap(javaout) std::string { return $jnicall; }
%typemap(out) std::string {
  $result = ringlet_java::to_array(jenv, $1);
}

// No C++ exception crosses into the virtual machine.
%exception {
  try {
    $action
  } catch (const ringlet_java::Failed& failed) {
    ringlet_java::throw_java(jenv, failed);
    return $null;
  } catch (const std::bad_alloc&) {
    ringlet_java::throw_java(jenv, "java/lang/OutOfMemoryError", "native memory");
    return $null;
  } catch (const std::exception& e) {
    ringlet_java::throw_java(jenv, "java/lang/IllegalStateException", e.what());
    return $null;
  }
}

%ignore "";
%rename("%s") ringlet_java;
%rename("abiVersion") ringlet_java::abi_version;
%rename("libraryVersion") ringlet_java::library_version;
%rename("has") ringlet_java::has;
%rename("statusName") ringlet_java::status_name;
%rename("optionsNew") ringlet_java::options_new;
%rename("optionsSet") ringlet_java::options_set;
%rename("optionsDescribe") ringlet_java::options_describe;
%rename("optionsRelease") ringlet_java::options_release;
%rename("clientOpen") ringlet_java::client_open;
%rename("clientCounters") ringlet_java::client_counters;
%rename("clientClose") ringlet_java::client_close;
%rename("clientRelease") ringlet_java::client_release;
%rename("clientLogTake") ringlet_java::client_log_take;
%rename("clientAdmin") ringlet_java::client_admin;
%rename("queueNew") ringlet_java::queue_new;
%rename("queueWake") ringlet_java::queue_wake;
%rename("queueRelease") ringlet_java::queue_release;
%rename("submit") ringlet_java::submit;
%rename("cancel") ringlet_java::cancel;
%rename("errorThrow") ringlet_java::error_throw;
%rename("errorRelease") ringlet_java::error_release;
%rename("replyCount") ringlet_java::reply_count;
%rename("replyContentType") ringlet_java::reply_content_type;
%rename("replyDot") ringlet_java::reply_dot;
%rename("replyWrittenMs") ringlet_java::reply_written_ms;
%rename("replyIsTombstone") ringlet_java::reply_is_tombstone;
%rename("replyContext") ringlet_java::reply_context;
%rename("replyMerged") ringlet_java::reply_merged;
%rename("replyLeftOut") ringlet_java::reply_left_out;
%rename("replyExplain") ringlet_java::reply_explain;
%rename("replyRelease") ringlet_java::reply_release;
%rename("documentRead") ringlet_java::document_read;
%rename("documentParse") ringlet_java::document_parse;
%rename("contextCompare") ringlet_java::context_compare;
%rename("mergeSiblings") ringlet_java::merge_siblings;
%rename("mergeAttempt") ringlet_java::merge_attempt;
%rename("mergeWritten") ringlet_java::merge_written;
%rename("mergeAnswer") ringlet_java::merge_answer;
%rename("mergeErase") ringlet_java::merge_erase;
%rename("mergeKeep") ringlet_java::merge_keep;
%rename("mergeFail") ringlet_java::merge_fail;
%rename("mergeRelease") ringlet_java::merge_release;
%rename("clusterStart") ringlet_java::cluster_start;
%rename("clusterSeeds") ringlet_java::cluster_seeds;
%rename("clusterSize") ringlet_java::cluster_size;
%rename("clusterKill") ringlet_java::cluster_kill;
%rename("clusterRestart") ringlet_java::cluster_restart;
%rename("clusterPause") ringlet_java::cluster_pause;
%rename("clusterResume") ringlet_java::cluster_resume;
%rename("clusterCut") ringlet_java::cluster_cut;
%rename("clusterMend") ringlet_java::cluster_mend;
%rename("clusterHeal") ringlet_java::cluster_heal;
%rename("clusterSkew") ringlet_java::cluster_skew;
%rename("clusterStop") ringlet_java::cluster_stop;
%rename("clusterRelease") ringlet_java::cluster_release;

%include "facade.hpp"
