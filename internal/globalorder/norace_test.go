//go:build !race

package globalorder_test

// raceDetector: see race_test.go.
const raceDetector = false
