package lambda

import (
	"context"
	"encoding/json"
	"fmt"
)

// namespace is that of the metrics in CloudWatch.
const namespace = "Daybook"

// statistics tells what the store holds, as metrics and as the answer.
func (f *Function) statistics(ctx context.Context) ([]byte, error) {
	stats, err := f.store.Stats(ctx)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	counts := map[string]int64{
		"Streams": stats.Streams, "Changesets": stats.Changesets, "Records": stats.Records, "LongestStream": int64(stats.LongestStream),
		"LastPosition": int64(stats.LastPosition), "LastOrdinal": int64(stats.LastOrdinal),
	}
	if f.options.Checkpoints != nil {
		place, err := f.options.Checkpoints.Load(ctx, f.options.Publisher)
		if err != nil {
			return nil, fmt.Errorf("statistics: the checkpoint: %w", err)
		}
		counts["Unpublished"] = int64(stats.LastPosition - place)
	}
	type metric struct{ Name, Unit string }
	var metrics []metric
	line := map[string]any{"Store": f.options.Label}
	for name, count := range counts {
		metrics = append(metrics, metric{name, "Count"})
		line[name] = count
	}
	line["_aws"] = map[string]any{
		"Timestamp":         f.options.Now().UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{"Namespace": namespace, "Dimensions": [][]string{{"Store"}}, "Metrics": metrics}},
	}
	out, err := json.Marshal(line)
	if err != nil {
		return nil, err
	}
	if _, err := f.options.Metrics.Write(append(out, '\n')); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return json.Marshal(counts)
}
