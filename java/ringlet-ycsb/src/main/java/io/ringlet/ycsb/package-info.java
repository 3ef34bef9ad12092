/** YCSB's binding: {@link io.ringlet.ycsb.RingletDB}. */
package io.ringlet.ycsb;
