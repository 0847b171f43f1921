package report

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// number writes a number with three digits that count, in groups of three.
func number(value float64) string {
	switch {
	case value == 0:
		return "0"
	case value < 0.1:
		return fmt.Sprintf("%.5f", value)
	case value < 1:
		return fmt.Sprintf("%.3f", value)
	case value < 10:
		return fmt.Sprintf("%.2f", value)
	case value < 100:
		return fmt.Sprintf("%.1f", value)
	}
	scale := math.Pow(10, math.Floor(math.Log10(value))-2)
	digits := fmt.Sprintf("%.0f", math.Round(value/scale)*scale)
	var grouped strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			grouped.WriteByte(',')
		}
		grouped.WriteRune(digit)
	}
	return grouped.String()
}

// duration writes nanoseconds in the unit that fits.
func duration(nanoseconds float64) string {
	switch {
	case nanoseconds <= 0:
		return "0"
	case nanoseconds < float64(time.Microsecond):
		return number(nanoseconds) + " ns"
	case nanoseconds < float64(time.Millisecond):
		return number(nanoseconds/1e3) + " µs"
	case nanoseconds < float64(time.Second):
		return number(nanoseconds/1e6) + " ms"
	default:
		return number(nanoseconds/1e9) + " s"
	}
}

// size writes bytes in the unit that fits.
func size(bytes float64) string {
	switch {
	case bytes <= 0:
		return "0"
	case bytes < 1<<20:
		return number(bytes/(1<<10)) + " KiB"
	default:
		return number(bytes/(1<<20)) + " MiB"
	}
}

// ratio writes how one figure stands to another.
func ratio(value, base float64) string {
	if value == 0 || base == 0 {
		return ""
	}
	return number(value / base)
}
