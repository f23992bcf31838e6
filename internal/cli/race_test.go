//go:build race

package cli

// raceDetector says that this program has the race detector in it, which takes several times the memory.
const raceDetector = true
