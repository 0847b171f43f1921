-- Partitions get theirs when they are made.
SELECT {schema}.index_events('events') FROM {schema}.store s WHERE s.partition_size IS NULL;
