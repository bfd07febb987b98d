#!/bin/sh
# Starts the Kafka broker in the foreground; the native stack and the container both run this file.
# Environment: KAFKA_JARS (folder of the jars), KAFKA_DATA (folder of the data), KAFKA_LISTEN_HOST, KAFKA_ADVERTISED_HOST,
# KAFKA_PORT, KAFKA_CONTROLLER_PORT, KAFKA_USERNAME, KAFKA_PASSWORD.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

if [ ! -f "$KAFKA_DATA/meta.properties" ]; then
    # A new cluster gets a random id: 16 bytes in base64 without "-", which would read as an option.
    cluster_id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'Aa' | cut -c 1-22)
    "$java" -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$KAFKA_JARS/kafka/*" \
        kafka.tools.StorageTool format --standalone --cluster-id "$cluster_id" --config "$here/broker.properties"
fi

exec "$java" -Xms128m -Xmx256m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
    -Dlog4j2.configurationFile="$here/log4j2.properties" -Dlog4j2.disableJmx=true \
    -cp "$KAFKA_JARS/kafka/*" kafka.Kafka "$here/broker.properties"
