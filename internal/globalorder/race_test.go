//go:build race

package globalorder_test

// raceDetector makes maps of states slow, and has nothing to find in them.
const raceDetector = true
