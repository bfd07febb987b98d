"""Forwards Kafka records into the JetStream stream; owns nothing, its position lives in the stream."""
