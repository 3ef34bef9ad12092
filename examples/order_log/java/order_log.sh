#!/bin/sh
# Runs OrderLog.java from its source with the client of ../../../java (build it first: java/README.md).
#   order_log.sh SEEDS ORDER append TEXT | show
here=$(cd "$(dirname "$0")" && pwd)
java=$here/../../../java
jar=$java/ringlet-client/target/ringlet-client-0.1.0.jar
native=$java/ringlet-native-linux-x86_64/target/ringlet-native-linux-x86_64-0.1.0.jar
if [ ! -f "$jar" ]; then
  echo "order_log.sh: no $jar: build the client first, as java/README.md says" >&2
  exit 1
fi
exec java -cp "$jar:$native" "$here/OrderLog.java" "$@"
