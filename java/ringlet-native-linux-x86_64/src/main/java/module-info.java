/**
 * The native library of the module {@code io.ringlet.client} for Linux on x86-64, as the resource
 * {@code io/ringlet/native/linux-x86_64/libringlet_jni.so}; no classes.
 */
@SuppressWarnings("module") // The name of the platform ends with digits.
module io.ringlet.natives.linux.x86_64 {
}
