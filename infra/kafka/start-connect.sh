#!/bin/sh
# Starts the Kafka Connect worker in the foreground; the native stack and the container both run this file.
# Environment: KAFKA_JARS (folder of the jars), KAFKA_BOOTSTRAP_SERVERS, KAFKA_USERNAME, KAFKA_PASSWORD,
# CONNECT_LISTEN_HOST, CONNECT_ADVERTISED_HOST, CONNECT_PORT, CONNECT_USERNAME, CONNECT_PASSWORD, CONNECT_PRIVATE (a folder
# for the files below), and the variables that infra/debezium/outbox.json names.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

# The extension for basic authentication reads its users from files only. Other users must not read these files.
umask 077
mkdir -p "$CONNECT_PRIVATE"
echo "$CONNECT_USERNAME=$CONNECT_PASSWORD" >"$CONNECT_PRIVATE/connect-users.properties"
cat >"$CONNECT_PRIVATE/connect-jaas.conf" <<END
KafkaConnect {
    org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required
    file="$CONNECT_PRIVATE/connect-users.properties";
};
END

# Connect reads plugin.path before it can replace variables.
{
    cat "$here/connect.properties"
    echo "plugin.path=$KAFKA_JARS/plugins"
} >"$CONNECT_PRIVATE/connect.properties"

# Lets the timers of this process and of the JVM fire up to 3 ms late (the value is in nanoseconds). Debezium's queue waits for
# its poll interval. If it wakes up early, it spins until the interval is over, and this spinning is most of what an idle
# connector costs. If it wakes up late, it does not spin (docs/performance.md).
if [ -w /proc/self/timerslack_ns ]; then
    echo 3000000 >/proc/self/timerslack_ns
fi

exec "$java" -Xms128m -Xmx256m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
    -Djava.security.auth.login.config="$CONNECT_PRIVATE/connect-jaas.conf" \
    -Dlog4j2.configurationFile="$here/log4j2.properties" -Dlog4j2.disableJmx=true \
    -cp "$KAFKA_JARS/kafka/*" org.apache.kafka.connect.cli.ConnectDistributed "$CONNECT_PRIVATE/connect.properties"
