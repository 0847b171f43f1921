package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// Values of flags that are more than a number or a text. Each returns an error
// that names the flag and says what it takes.

// parseTime reads a time, or a date: the end of that day, in UTC.
func parseTime(flag, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, value); err == nil {
		return t, nil
	}
	if day, err := time.Parse(time.DateOnly, value); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Microsecond), nil
	}
	return time.Time{}, usagef("--%s %q: must be a time like 2026-01-31T12:00:00Z, or a date like 2026-01-31", flag, value)
}

// parseExpect reads an expectation: none, version:3.
func parseExpect(value string) (daybook.Expect, error) {
	if expect, ok := wire.ParseExpect(value); ok {
		return expect, nil
	}
	return daybook.Expect{}, usagef("--expect %q: must be any, none, exists, version:N or changeset:N", value)
}

// parseClaims reads claims: email=ann@example.org.
func parseClaims(flag string, values []string) ([]daybook.Claim, error) {
	var claims []daybook.Claim
	for _, text := range values {
		kind, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, usagef("--%s %q: must be KIND=VALUE", flag, text)
		}
		claims = append(claims, daybook.Claim{Kind: kind, Value: value})
	}
	return claims, nil
}

// counted is "1 record", "2 records", "1,234 records".
func counted(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%s %ss", grouped(n), one)
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
