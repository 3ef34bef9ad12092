#!/bin/sh
# Runs OrderLog.java from its source with the client of ../../../java (build it first: java/README.md).
#   order_log.sh SEEDS ORDER append TEXT | show
here=$(cd "$(dirname "$0")" && pwd)
jar=$here/../../../java/ringlet-client/target/ringlet-client-0.1.0.jar
if [ ! -f "$jar" ]; then
  echo "order_log.sh: no $jar: build the client first, as java/README.md says" >&2
  exit 1
fi
exec java -cp "$jar" "$here/OrderLog.java" "$@"
